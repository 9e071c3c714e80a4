#include "data.h"
#include "test.h"

#include <stdlib.h>

TEST("weights that arrive at a joint are 1 in sum, in each partition that has any")
{
    struct graph g = graph_make(MAX_JOINTS);
    CHECK_INT(g.edge_count, MAX_JOINTS + 2 * (MAX_JOINTS - 1));
    double sums[PARTITIONS][MAX_JOINTS] = {{0}};
    for (int i = 0; i < g.edge_count; i++)
        sums[g.edges[i].partition][g.edges[i].to] += g.edges[i].weight;
    for (int p = 0; p < PARTITIONS; p++)
        for (int j = 0; j < MAX_JOINTS; j++)
            CHECK(sums[p][j] == 0 || fabs(sums[p][j] - 1) < 1e-9);
}

TEST("each joint stands behind its parent in the order from the root")
{
    bool seen[MAX_JOINTS] = {false};
    for (int n = 0; n < MAX_JOINTS; n++) {
        int j = joints_from_root[n];
        CHECK(!seen[j] && (joints[j].parent < 0 || seen[joints[j].parent]));
        seen[j] = true;
    }
}

TEST("bones keep their length whatever the body does")
{
    struct performance p = {.body = 1, .limbs = 1, .vigour = 1, .speed = 1, .facing = 0.5};
    for (int action = 0; action < ACTIONS; action++) {
        for (double time = 0; time <= 1; time += 0.1) {
            double pose[MAX_JOINTS][3];
            action_pose(action, &p, time, pose);
            for (int j = 0; j < MAX_JOINTS; j++) {
                if (joints[j].parent < 0)
                    continue;
                double is = 0, should = 0;
                for (int k = 0; k < 3; k++) {
                    double away = pose[j][k] - pose[joints[j].parent][k];
                    is += away * away;
                    should += joints[j].offset[k] * joints[j].offset[k];
                }
                CHECK(fabs(sqrt(is) - sqrt(should)) < 1e-9);
            }
        }
    }
}

TEST("who sits down ends where who stands up begins")
{
    struct performance p = {.body = 1, .limbs = 1, .vigour = 1, .speed = 1};
    int down = 4, up = 5;
    CHECK_TEXT(action_names[down], "sit down");
    CHECK_TEXT(action_names[up], "stand up");
    double seated[MAX_JOINTS][3], rising[MAX_JOINTS][3], standing[MAX_JOINTS][3];
    action_pose(down, &p, 1, seated);
    action_pose(up, &p, 0, rising);
    action_pose(up, &p, 1, standing);
    CHECK(fabs(seated[HEAD][1] - rising[HEAD][1]) < 0.02);
    CHECK(standing[HEAD][1] - seated[HEAD][1] > 0.3);
}

TEST("the same seed gives the same samples, another seed others")
{
    struct config c = config_defaults;
    c.train_samples = 20;
    struct dataset *a = dataset_new(&c, PART_TRAIN), *b = dataset_new(&c, PART_TRAIN);
    size_t bytes = (size_t)(c.train_samples * c.frames * c.joints * CHANNELS) * sizeof(real);
    CHECK(memcmp(a->positions, b->positions, bytes) == 0);
    dataset_free(b);
    c.seed++;
    b = dataset_new(&c, PART_TRAIN);
    CHECK(memcmp(a->positions, b->positions, bytes) != 0);
    dataset_free(a);
    dataset_free(b);
}

TEST("what the net sees has mean 0 and deviation 1, in every stream and on every skeleton")
{
    struct config c = config_defaults;
    c.train_samples = 40;
    size_t values = (size_t)(c.frames * MAX_JOINTS * CHANNELS);
    real *x = room_for(values, sizeof *x);
    for (c.joints = MIN_JOINTS; c.joints <= MAX_JOINTS; c.joints += MAX_JOINTS - MIN_JOINTS) {
        struct dataset *d = dataset_new(&c, PART_TRAIN);
        for (int64_t stream = STREAM_JOINT; stream <= STREAM_MOTION; stream++) {
            struct norm n = norm_of(d, stream);
            double sum = 0, squares = 0, count = 0;
            for (int i = 0; i < d->count; i++) {
                dataset_view(d, i, stream, &n, NULL, x);
                for (int k = 0; k < c.frames * c.joints * CHANNELS; k++, count++) {
                    sum += x[k];
                    squares += x[k] * x[k];
                }
            }
            CHECK(fabs(sum / count) < 1e-6);
            CHECK(fabs(squares / count - 1) < 1e-6);
        }
        dataset_free(d);
    }
    free(x);
}

TEST("a bone is the way from the parent to the joint")
{
    struct config c = config_defaults;
    c.train_samples = c.classes;
    struct dataset *d = dataset_new(&c, PART_TRAIN);
    struct norm none = {.scale = 1};
    real x[32 * MAX_JOINTS * CHANNELS];
    CHECK_INT(c.frames, 32);
    dataset_view(d, 0, STREAM_BONE, &none, NULL, x);
    real wanted = d->positions[HEAD * CHANNELS + 1] - d->positions[NECK * CHANNELS + 1];
    CHECK(fabs(x[HEAD * CHANNELS + 1] - wanted) < 1e-9);
    dataset_free(d);
}
