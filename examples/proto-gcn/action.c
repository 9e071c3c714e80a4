#include "action.h"

#include <assert.h>
#include <string.h>

enum axis { X, Y, Z, LIFT }; /* to bend forward or back, to turn, to tilt; metres up and down */

/* How a movement runs over the clip. */
enum course {
    KEEP, /* the angle stays */
    WAVE, /* a sine, CYCLES times */
    BEAT, /* the sine's upper halves: out and back, out and back */
    OFFB, /* its lower halves: in the pauses of BEAT */
    ONCE, /* out and back, one time */
    INTO, /* from rest to the angle, where it stays */
    FROM, /* from the angle to rest */
};

struct movement {
    enum joint joint;
    enum axis axis;
    enum course course;
    double degrees; /* or metres, for LIFT */
    double cycles;
};

enum { MAX_MOVEMENTS = 10 };

struct action {
    const char *name;
    struct movement movements[MAX_MOVEMENTS]; /* up to the first with degrees 0 */
};

/* Some of these are alike on purpose: a task in which all classes lie far apart teaches nothing. */
/* clang-format off */
static const struct action actions[ACTIONS] = {
    {"wave",      {{SHOULDER_R, Z, KEEP, -115, 0}, {ELBOW_R, Z, KEEP, -35, 0}, {ELBOW_R, Z, WAVE, 32, 2.5}}},
    {"clap",      {{SHOULDER_L, X, KEEP, -55, 0}, {SHOULDER_R, X, KEEP, -55, 0}, {ELBOW_L, X, KEEP, -35, 0}, {ELBOW_R, X, KEEP, -35, 0},
                   {SHOULDER_L, Y, WAVE, -24, 3}, {SHOULDER_R, Y, WAVE, 24, 3}}},
    {"drink",     {{SHOULDER_R, X, ONCE, -50, 0}, {ELBOW_R, X, ONCE, -105, 0}, {HEAD, X, ONCE, -15, 0}}},
    {"phone",     {{SHOULDER_R, X, INTO, -35, 0}, {SHOULDER_R, Z, INTO, -25, 0}, {ELBOW_R, X, INTO, -125, 0}}},
    {"sit down",  {{SPINE_BASE, LIFT, INTO, -0.38, 0}, {HIP_L, X, INTO, -80, 0}, {HIP_R, X, INTO, -80, 0},
                   {KNEE_L, X, INTO, 80, 0}, {KNEE_R, X, INTO, 80, 0}, {SPINE_BASE, X, ONCE, 18, 0}}},
    {"stand up",  {{SPINE_BASE, LIFT, FROM, -0.38, 0}, {HIP_L, X, FROM, -80, 0}, {HIP_R, X, FROM, -80, 0},
                   {KNEE_L, X, FROM, 80, 0}, {KNEE_R, X, FROM, 80, 0}, {SPINE_BASE, X, ONCE, 18, 0}}},
    {"jump",      {{SPINE_BASE, LIFT, BEAT, 0.22, 2}, {KNEE_L, X, WAVE, -22, 2}, {KNEE_R, X, WAVE, -22, 2},
                   {SHOULDER_L, X, WAVE, -30, 2}, {SHOULDER_R, X, WAVE, -30, 2}}},
    {"kick",      {{HIP_R, X, ONCE, -70, 0}, {KNEE_R, X, ONCE, 25, 0}, {SPINE_MID, X, ONCE, -8, 0}, {SHOULDER_L, X, ONCE, -30, 0}}},
    {"bow",       {{SPINE_MID, X, ONCE, 45, 0}, {SPINE_BASE, X, ONCE, 10, 0}}},
    {"throw",     {{SHOULDER_R, X, WAVE, -85, 1}, {ELBOW_R, X, WAVE, -60, 1}, {SPINE_MID, Y, WAVE, 15, 1}}},
    {"march",     {{HIP_L, X, BEAT, -50, 2}, {KNEE_L, X, BEAT, 60, 2}, {HIP_R, X, OFFB, -50, 2}, {KNEE_R, X, OFFB, 60, 2},
                   {SHOULDER_R, X, WAVE, -25, 2}, {SHOULDER_L, X, WAVE, 25, 2}}},
    {"pick up",   {{SPINE_MID, X, ONCE, 50, 0}, {HIP_L, X, ONCE, -35, 0}, {HIP_R, X, ONCE, -35, 0}, {KNEE_L, X, ONCE, 45, 0},
                   {KNEE_R, X, ONCE, 45, 0}, {SPINE_BASE, LIFT, ONCE, -0.12, 0}, {SHOULDER_R, X, ONCE, -55, 0}}},
};
/* clang-format on */

const char *const action_names[ACTIONS] = {
    "wave", "clap", "drink", "phone", "sit down", "stand up",
    "jump", "kick", "bow",   "throw", "march",    "pick up",
};

static const double PI = 3.14159265358979323846;

/* 0 before 0, 1 after 1, and smooth between. */
static double eased(double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    return x * x * (3 - 2 * x);
}

/* How far M has gone at TIME, in parts of its angle. */
static double extent(const struct movement *m, const struct performance *p, double time)
{
    double once = (time - p->delay) * 1.6 * p->speed;
    double turn = 2 * PI * (m->cycles * p->speed * time + p->phase);
    double wave = sin(turn);
    switch (m->course) {
    case KEEP:
        return 1;
    case WAVE:
        return wave;
    case BEAT:
        return wave > 0 ? wave : 0;
    case OFFB:
        return wave < 0 ? -wave : 0;
    case ONCE:
        return once <= 0 || once >= 1 ? 0 : sin(PI * once) * sin(PI * once);
    case INTO:
        return eased(once * 1.5);
    case FROM:
        return 1 - eased(once * 1.5);
    }
    return 0;
}

/* M := M x rotation by ANGLE around AXIS. */
static void turn_by(double m[3][3], enum axis axis, double angle)
{
    int a = axis == X ? 1 : axis == Y ? 2 : 0, b = axis == X ? 2 : axis == Y ? 0 : 1;
    double c = cos(angle), s = sin(angle);
    for (int i = 0; i < 3; i++) {
        double ma = m[i][a], mb = m[i][b];
        m[i][a] = c * ma + s * mb;
        m[i][b] = c * mb - s * ma;
    }
}

/* What joint J adds to the direction that it has from its parent; the root's lift into LIFTED. */
static void turn_joint(const struct action *a, int j, const struct performance *p, double time,
                       double m[3][3], double *lifted)
{
    for (int i = 0; i < MAX_MOVEMENTS && a->movements[i].degrees != 0; i++) {
        const struct movement *move = &a->movements[i];
        if ((int)move->joint != j)
            continue;
        double size = move->degrees * extent(move, p, time);
        size *= p->vigour;
        if (move->axis == LIFT)
            *lifted += size * p->body;
        else
            turn_by(m, move->axis, size * PI / 180);
    }
}

void action_pose(int action, const struct performance *p, double time, double pose[MAX_JOINTS][3])
{
    assert(action >= 0 && action < ACTIONS);
    double frame[MAX_JOINTS][3][3];
    for (int n = 0; n < MAX_JOINTS; n++) {
        int j = joints_from_root[n], parent = joints[j].parent;
        double lifted = 0;
        if (parent < 0) {
            memcpy(frame[j], (double[3][3]){{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, sizeof frame[j]);
            turn_by(frame[j], Y, p->facing);
        } else {
            memcpy(frame[j], frame[parent], sizeof frame[j]);
        }
        turn_joint(&actions[action], j, p, time, frame[j], &lifted);
        if (j == SPINE_MID) {
            turn_by(frame[j], X, p->stoop);
            turn_by(frame[j], Z, p->sway * sin(2 * PI * (time + p->phase)));
        }
        double size = p->body * (joints[j].part == 0 ? 1 : p->limbs);
        for (int i = 0; i < 3; i++) {
            pose[j][i] = parent < 0 ? 0 : pose[parent][i];
            for (int k = 0; k < 3 && parent >= 0; k++)
                pose[j][i] += frame[parent][i][k] * joints[j].offset[k] * size;
        }
        pose[j][1] += lifted;
    }
}
