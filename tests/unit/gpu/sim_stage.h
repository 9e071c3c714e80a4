/* A simulated machine for a test: its scenario, its own counters, and a hand on its clock. */
#ifndef TEST_SIM_STAGE_H
#define TEST_SIM_STAGE_H

/* From now on the simulator's library, here and in child processes, plays this YAML. */
void stage_set(const char *yaml);
/* Path of the simulator's library. */
const char *stage_library(void);
/* The scenario moves on by MS at once, for every process that plays it. */
void stage_skip(int ms);
void stage_clear(void);
/* A file in the stage's folder. */
const char *stage_path(const char *name);
/* Writes an executable script there. */
const char *stage_script(const char *name, const char *text);

#endif
