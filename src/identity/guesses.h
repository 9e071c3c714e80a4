/*
 * Who has guessed wrong lately, by where they come from. Ten wrong guesses are free, then one in
 * six seconds. Of fixed size, so that guessing from many places takes no memory: places may come to
 * share an account then. Belongs to one thread.
 */
#ifndef IDENTITY_GUESSES_H
#define IDENTITY_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

struct guesses;

struct guesses *guesses_new(void);
void guesses_free(struct guesses *g);

/* FROM is an address in figures with or without a port; of IPv6 only the first half counts.
 * NOW_MONO_MS never jumps. 0: it may guess now; else so many ms later. */
int64_t guesses_wait_ms(const struct guesses *g, const char *from, int64_t now_mono_ms);
void guesses_wrong(struct guesses *g, const char *from, int64_t now_mono_ms);

#endif
