/* Eight bytes of a JSON text at once; for json_out.c and json_scan.c. */
#ifndef BASE_JSON_BYTES_H
#define BASE_JSON_BYTES_H

#include <stdint.h>

/* Not 0: one of them is a quote, a backslash, a control character or not ASCII. A byte below what
 * is taken from it borrows from the next one, which only adds to bytes that are not plain. */
static inline uint64_t json_special_bytes(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    return (word | (word - ones * 0x20) | (quote - ones) | (slash - ones)) & high;
}

#endif
