/*
 * What people do in the generated recordings: each action is a few movements of joints, written
 * down as data, and played on a body by forward kinematics.
 */
#ifndef PROTO_GCN_ACTION_H
#define PROTO_GCN_ACTION_H

#include "graph.h"
#include "num.h"

enum { ACTIONS = 12 };

extern const char *const action_names[ACTIONS];

/* Who performs, and how this time. 1 is average where it is a factor. */
struct performance {
    double body;   /* size */
    double limbs;  /* length of arms and legs beyond that */
    double vigour; /* width of movements */
    double speed;  /* cycles per clip */
    double phase;  /* where in a cycle the clip begins, 0 .. 1 */
    double delay;  /* when a movement that happens once begins, part of the clip */
    double sway;   /* radians the trunk sways all the time */
    double facing; /* radians turned away from the camera */
    double stoop;  /* radians bent forward by habit */
};

/* Where all joints are in metres at TIME (0: the clip begins, 1: it ends), the standing person's
 * base of the spine at the origin. */
void action_pose(int action, const struct performance *p, double time, double pose[MAX_JOINTS][3]);

#endif
