#include "graph.h"

#include <assert.h>

/* clang-format off */
const struct joint_info joints[MAX_JOINTS] = {
    [SPINE_BASE] = {"spine base", -1,         0, { 0.00,  0.00,  0.00}},
    [SPINE_MID]  = {"spine mid",  SPINE_BASE, 0, { 0.00,  0.26,  0.00}},
    [SPINE_TOP]  = {"spine top",  SPINE_MID,  0, { 0.00,  0.24,  0.00}},
    [NECK]       = {"neck",       SPINE_TOP,  0, { 0.00,  0.08,  0.00}},
    [HEAD]       = {"head",       NECK,       0, { 0.00,  0.16,  0.02}},
    [SHOULDER_L] = {"shoulder l", SPINE_TOP,  1, { 0.18, -0.03,  0.00}},
    [ELBOW_L]    = {"elbow l",    SHOULDER_L, 1, { 0.03, -0.28,  0.00}},
    [WRIST_L]    = {"wrist l",    ELBOW_L,    1, { 0.00, -0.25,  0.02}},
    [HAND_L]     = {"hand l",     WRIST_L,    1, { 0.00, -0.08,  0.01}},
    [TIP_L]      = {"tip l",      HAND_L,     1, { 0.00, -0.08,  0.00}},
    [THUMB_L]    = {"thumb l",    WRIST_L,    1, {-0.02, -0.06,  0.05}},
    [SHOULDER_R] = {"shoulder r", SPINE_TOP,  2, {-0.18, -0.03,  0.00}},
    [ELBOW_R]    = {"elbow r",    SHOULDER_R, 2, {-0.03, -0.28,  0.00}},
    [WRIST_R]    = {"wrist r",    ELBOW_R,    2, { 0.00, -0.25,  0.02}},
    [HAND_R]     = {"hand r",     WRIST_R,    2, { 0.00, -0.08,  0.01}},
    [TIP_R]      = {"tip r",      HAND_R,     2, { 0.00, -0.08,  0.00}},
    [THUMB_R]    = {"thumb r",    WRIST_R,    2, { 0.02, -0.06,  0.05}},
    [HIP_L]      = {"hip l",      SPINE_BASE, 3, { 0.09, -0.04,  0.00}},
    [KNEE_L]     = {"knee l",     HIP_L,      3, { 0.01, -0.40,  0.01}},
    [ANKLE_L]    = {"ankle l",    KNEE_L,     3, { 0.00, -0.40, -0.01}},
    [FOOT_L]     = {"foot l",     ANKLE_L,    3, { 0.01, -0.06,  0.12}},
    [HIP_R]      = {"hip r",      SPINE_BASE, 4, {-0.09, -0.04,  0.00}},
    [KNEE_R]     = {"knee r",     HIP_R,      4, {-0.01, -0.40,  0.01}},
    [ANKLE_R]    = {"ankle r",    KNEE_R,     4, { 0.00, -0.40, -0.01}},
    [FOOT_R]     = {"foot r",     ANKLE_R,    4, {-0.01, -0.06,  0.12}},
};

const int joints_from_root[MAX_JOINTS] = {
    SPINE_BASE, SPINE_MID, SPINE_TOP, NECK, HEAD,
    SHOULDER_L, ELBOW_L, WRIST_L, HAND_L, TIP_L, THUMB_L,
    SHOULDER_R, ELBOW_R, WRIST_R, HAND_R, TIP_R, THUMB_R,
    HIP_L, KNEE_L, ANKLE_L, FOOT_L, HIP_R, KNEE_R, ANKLE_R, FOOT_R,
};
/* clang-format on */

static void add_edge(struct graph *g, int partition, int to, int from)
{
    g->edges[g->edge_count++] = (struct edge){partition, to, from, 1.0};
}

static void normalise(struct graph *g)
{
    int arriving[PARTITIONS][MAX_JOINTS] = {{0}};
    for (int i = 0; i < g->edge_count; i++)
        arriving[g->edges[i].partition][g->edges[i].to]++;
    for (int i = 0; i < g->edge_count; i++)
        g->edges[i].weight = 1.0 / arriving[g->edges[i].partition][g->edges[i].to];
}

struct graph graph_make(int joint_count)
{
    assert(joint_count >= MIN_JOINTS && joint_count <= MAX_JOINTS);
    struct graph g = {.joints = joint_count};
    for (int j = 0; j < joint_count; j++) {
        g.part_size[joints[j].part]++;
        add_edge(&g, 0, j, j);
        if (joints[j].parent < 0)
            continue;
        add_edge(&g, 1, j, joints[j].parent);
        add_edge(&g, 2, joints[j].parent, j);
    }
    normalise(&g);
    return g;
}
