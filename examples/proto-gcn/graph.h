/*
 * The skeleton: 25 joints in the order that the NTU RGB+D recordings made customary, as a tree that
 * hangs from the base of the spine, and the graph that the convolution runs over.
 */
#ifndef PROTO_GCN_GRAPH_H
#define PROTO_GCN_GRAPH_H

#include <stddef.h>

enum {
    MAX_JOINTS = 25,
    MIN_JOINTS = 21, /* without hand tips and thumbs, which are the last four */
    PARTITIONS = 3,  /* itself, the neighbour nearer to the root, the neighbours further away */
    BODY_PARTS = 5,  /* trunk and head, left arm, right arm, left leg, right leg */
    MAX_EDGES = 3 * MAX_JOINTS,
};

/* clang-format off */
enum joint {
    SPINE_BASE, SPINE_MID, NECK, HEAD,
    SHOULDER_L, ELBOW_L, WRIST_L, HAND_L, SHOULDER_R, ELBOW_R, WRIST_R, HAND_R,
    HIP_L, KNEE_L, ANKLE_L, FOOT_L, HIP_R, KNEE_R, ANKLE_R, FOOT_R,
    SPINE_TOP, TIP_L, THUMB_L, TIP_R, THUMB_R,
};
/* clang-format on */

struct joint_info {
    const char *name;
    int parent; /* -1: the root */
    int part;   /* 0 .. BODY_PARTS-1 */
    /* From the parent, in metres, for a person of 1.70 m standing with arms hanging: x to the
     * person's left, y up, z to the front. */
    double offset[3];
};

extern const struct joint_info joints[MAX_JOINTS];

/* Joints so ordered that a parent comes before its children. */
extern const int joints_from_root[MAX_JOINTS];

/* "TO receives WEIGHT times what FROM holds", in one of the partitions, each normalised so that the
 * weights arriving at a joint are 1 in sum. */
struct edge {
    int partition, to, from;
    double weight;
};

struct graph {
    int joints;
    int edge_count;
    struct edge edges[MAX_EDGES];
    int part_size[BODY_PARTS];
};

/* The graph over the first JOINTS joints (MIN_JOINTS .. MAX_JOINTS). */
struct graph graph_make(int joint_count);

#endif
