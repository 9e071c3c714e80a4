#include "redis/reply.h"

#include "base/mem.h"
#include "base/text.h"

#include <hiredis/hiredis.h>

struct redis_reader {
    redisReader *reader;
    size_t nodes, bytes; /* of the answer that is being read */
};

/* ---- hiredis' call-backs: they make our tree; NULL ends the reading ---- */

static struct redis_reply *new_node(const redisReadTask *task, enum redis_type type)
{
    struct redis_reader *r = task->privdata;
    if (++r->nodes > REDIS_REPLY_NODES_MOST)
        return NULL;
    struct redis_reply *node = mem_new(struct redis_reply);
    node->type = type;
    if (task->parent)
        ((struct redis_reply *)task->parent->obj)->items[task->idx] = node;
    return node;
}

static void *create_string(const redisReadTask *task, char *p, size_t len)
{
    struct redis_reader *r = task->privdata;
    enum redis_type type = task->type == REDIS_REPLY_ERROR    ? REDIS_ERROR
                           : task->type == REDIS_REPLY_STATUS ? REDIS_STATUS
                                                              : REDIS_TEXT;
    r->bytes += len;
    if (r->bytes > REDIS_REPLY_BYTES_MOST)
        return NULL;
    struct redis_reply *node = new_node(task, type);
    if (node) {
        node->text = mem_strndup(p, len);
        node->len = len;
    }
    return node;
}

static void *create_list(const redisReadTask *task, size_t count)
{
    if (count > REDIS_REPLY_ITEMS_MOST)
        return NULL;
    struct redis_reply *node = new_node(task, REDIS_LIST);
    if (node) {
        node->items = mem_new_array(struct redis_reply *, count + 1);
        node->count = count;
    }
    return node;
}

static void *create_int(const redisReadTask *task, long long value)
{
    struct redis_reply *node = new_node(task, REDIS_INT);
    if (node)
        node->number = value;
    return node;
}

static void *create_nil(const redisReadTask *task)
{
    return new_node(task, REDIS_NIL);
}

static void free_object(void *object)
{
    redis_reply_free(object);
}

#if HIREDIS_MAJOR >= 1 /* Ubuntu 24.04; Debian 12 has 0.14 */
static void *create_double(const redisReadTask *task, double value, char *p, size_t len)
{
    (void)value;
    return create_string(task, p, len);
}
static void *create_bool(const redisReadTask *task, int value)
{
    return create_int(task, value);
}
static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_list,
    .createInteger = create_int,
    .createDouble = create_double,
    .createNil = create_nil,
    .createBool = create_bool,
    .freeObject = free_object,
};
#else
/* A count that does not fit was cut before it came here; a negative one is too many, too. */
static void *create_array(const redisReadTask *task, int count)
{
    return create_list(task, count < 0 ? SIZE_MAX : (size_t)count);
}
static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_int,
    .createNil = create_nil,
    .freeObject = free_object,
};
#endif

void redis_reply_free(struct redis_reply *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        redis_reply_free(r->items[i]);
    free(r->items);
    free(r->text);
    free(r);
}

/* ---- reading ---- */

struct redis_reader *redis_reader_new(void)
{
    struct redis_reader *r = mem_new(struct redis_reader);
    r->reader = redisReaderCreateWithFunctions(&functions);
    if (!r->reader)
        abort(); /* as mem_new() */
    r->reader->privdata = r;
    return r;
}

void redis_reader_free(struct redis_reader *r)
{
    if (!r)
        return;
    redisReaderFree(r->reader);
    free(r);
}

static int not_redis(const struct redis_reader *r, struct err *e)
{
    bool ours = r->nodes > REDIS_REPLY_NODES_MOST || r->reader->err == REDIS_ERR_OOM;
    return err_set(e, ERR_INVALID, "what answers is no Redis, or answers too much: %s",
                   ours ? "an answer beyond the limits" : r->reader->errstr);
}

int redis_reader_feed(struct redis_reader *r, const char *p, size_t len, struct err *e)
{
    /* hiredis keeps what is not a whole value yet. */
    if (r->reader->len - r->reader->pos + len > REDIS_REPLY_BYTES_MOST)
        return err_set(e, ERR_INVALID, "an answer of more than %d MiB",
                       REDIS_REPLY_BYTES_MOST >> 20);
    if (redisReaderFeed(r->reader, p, len) != REDIS_OK)
        return not_redis(r, e);
    return 0;
}

/* A list that says fewer items than it counts would leave holes. */
static bool is_whole(const struct redis_reply *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (!r->items[i] || !is_whole(r->items[i]))
            return false;
    return true;
}

int redis_reader_next(struct redis_reader *r, struct redis_reply **ret, struct err *e)
{
    void *reply = NULL;
    if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
        return not_redis(r, e);
    *ret = reply;
    if (!reply)
        return 0;
    r->nodes = r->bytes = 0;
    if (is_whole(reply))
        return 0;
    redis_reply_free(reply);
    *ret = NULL;
    return err_set(e, ERR_INVALID, "what answers is no Redis");
}

const struct redis_reply *redis_item(const struct redis_reply *r, size_t i)
{
    static char none[1];
    static const struct redis_reply nothing = {.text = none};
    return r && r->type == REDIS_LIST && i < r->count ? r->items[i] : &nothing;
}

const char *redis_text(const struct redis_reply *r, size_t i)
{
    const struct redis_reply *item = redis_item(r, i);
    return item->text ? item->text : "";
}

int64_t redis_int(const struct redis_reply *r, size_t i)
{
    const struct redis_reply *item = redis_item(r, i);
    int64_t value = 0;
    if (item->type == REDIS_INT)
        return item->number;
    if (item->text && text_to_int(item->text, INT64_MIN, INT64_MAX, "answer", &value, NULL) < 0)
        return 0;
    return value;
}

bool redis_is_error(const struct redis_reply *r, const char *word)
{
    size_t len = strlen(word);
    return r && r->type == REDIS_ERROR && strncmp(r->text, word, len) == 0 &&
           (r->text[len] == ' ' || r->text[len] == '\0' || !len);
}

void redis_command_write(struct text *out, const struct redis_arg *args, size_t count)
{
    auto_free const char **argv = mem_new_array(const char *, count);
    auto_free size_t *lens = mem_new_array(size_t, count);
    char *bytes = NULL;
    for (size_t i = 0; i < count; i++) {
        argv[i] = args[i].p;
        lens[i] = args[i].len;
    }
    long long len = redisFormatCommandArgv(&bytes, (int)count, argv, lens);
    if (len < 0)
        abort(); /* no memory, as mem_new() */
    text_add_bytes(out, bytes, (size_t)len);
    redisFreeCommand(bytes);
}
