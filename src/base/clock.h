/*
 * Clocks and times as text. Only programs and loops ask for the time; everything below gets it as
 * an argument.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/err.h"

#include <stdint.h>

int64_t clock_wall_ms(void); /* Unix time; may jump */
int64_t clock_mono_ms(void); /* never jumps, stands still while the machine sleeps */
int64_t clock_mono_us(void);
int64_t clock_boot_ms(void); /* never jumps, counts sleep */

#define CLOCK_TEXT_SIZE 32
/* "2026-01-31T09:00:00.250Z" (RFC 3339, UTC). Returns BUF. */
char *clock_format(int64_t unix_ms, char buf[CLOCK_TEXT_SIZE]);
/* The way back, also without or with other fractions of a second; only UTC. False: it is no such
 * text. */
bool clock_parse(const char *text, int64_t *ret_ms);
/* "850ms", "4.2s", "3m10s", "2h05m", "3d4h": for people. Returns BUF. */
char *clock_format_span(int64_t span_ms, char buf[CLOCK_TEXT_SIZE]);

#endif
