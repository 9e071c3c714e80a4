#include "kubelet/message.h"

static void *take(void *arg, size_t size)
{
    size_t *left = arg;
    if (size > *left)
        return NULL;
    *left -= size;
    return malloc(size ? size : 1);
}

static void give(void *arg, void *p)
{
    (void)arg;
    free(p);
}

/* A hostile message of many empty parts takes thirty times its size when it is unpacked. */
void *message_unpack(const ProtobufCMessageDescriptor *kind, const uint8_t *bytes, size_t len,
                     const char *what, struct err *e)
{
    size_t left = MESSAGE_MEMORY_MOST;
    ProtobufCAllocator allocator = {take, give, &left};
    void *message = protobuf_c_message_unpack(kind, &allocator, len, bytes);
    if (!message)
        err_set(e, ERR_INVALID, "%s of %zu bytes is no such message, or too large", what, len);
    return message;
}

void message_free(void *message)
{
    if (message)
        protobuf_c_message_free_unpacked(message, NULL);
}

void message_pack(const ProtobufCMessage *message, struct text *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    text_reserve(out, size + 1);
    protobuf_c_message_pack(message, (uint8_t *)out->data + out->len);
    out->len += size;
    out->data[out->len] = '\0';
}
