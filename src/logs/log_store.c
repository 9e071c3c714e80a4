#include "logs/log_store.h"

#include "base/mem.h"

#include <string.h>

static const struct log_store_ops *const members[] = {&log_store_directory};

int log_store_open(const char *address, const struct log_limits *limits,
                   const struct log_store_ops **ret_ops, struct log_store **ret, struct err *e)
{
    const char *colon = strchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (len != strlen(members[i]->name) || memcmp(address, members[i]->name, len) != 0)
            continue;
        if (members[i]->open(colon + 1, limits, ret, e) < 0)
            return -1;
        *ret_ops = members[i];
        return 0;
    }
    return err_set(e, ERR_INVALID, "cannot use log store '%s': it should be 'directory:FOLDER'",
                   address);
}

enum { TAIL_BYTES = 1 << 20, TAIL_PIECE = 64 << 10, TAIL_LINES = 10000 };

/* The starts of the last lines seen, in a ring. */
struct starts {
    int64_t *at;
    int64_t room, count;
};

static void note_start(struct starts *s, int64_t offset)
{
    s->at[s->count++ % s->room] = offset;
}

int log_tail(const struct log_store_ops *ops, struct log_store *s, struct log_ref ref,
             int64_t lines, int64_t *ret_offset, struct err *e)
{
    struct log_info info;
    if (lines < 0 || lines > TAIL_LINES)
        return err_set(e, ERR_INVALID, "a tail has 0..%d lines", TAIL_LINES);
    if (ops->info(s, ref, &info, e) < 0)
        return -1;
    if (lines == 0) {
        *ret_offset = info.end;
        return 0;
    }

    auto_free int64_t *ring = mem_new_array(int64_t, (size_t)lines);
    auto_free char *buf = mem_alloc(1, TAIL_PIECE);
    struct starts starts = {ring, lines, 0};
    int64_t from = info.end > TAIL_BYTES ? info.end - TAIL_BYTES : 0, at = from;
    bool at_start = true; /* of a line; also behind a gap, and where we begin to look */
    while (at < info.end) {
        struct log_piece piece;
        if (ops->read(s, ref, at, buf, TAIL_PIECE, &piece, e) < 0)
            return -1;
        if (piece.len == 0)
            break;
        at_start = at_start || piece.offset != at;
        for (int64_t i = 0; i < piece.len; i++) {
            if (at_start)
                note_start(&starts, piece.offset + i);
            at_start = buf[i] == '\n';
        }
        at = piece.offset + piece.len;
    }
    if (starts.count == 0)
        *ret_offset = info.end;
    else
        *ret_offset = starts.count > lines ? ring[starts.count % lines] : ring[0];
    return 0;
}
