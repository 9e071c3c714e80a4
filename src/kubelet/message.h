/* Protobuf messages out of bytes from outside, within a bound of memory. Pure. */
#ifndef KUBELET_MESSAGE_H
#define KUBELET_MESSAGE_H

#include "base/err.h"
#include "base/text.h"

#include <protobuf-c/protobuf-c.h>

/* A message that takes more than this, unpacked, is refused. */
#define MESSAGE_MEMORY_MOST (32 << 20)

/* NULL and E: it is none of that kind, or too large. WHAT names it in the error. The caller frees
 * it by message_free(). */
void *message_unpack(const ProtobufCMessageDescriptor *kind, const uint8_t *bytes, size_t len,
                     const char *what, struct err *e);
void message_free(void *message);
static inline void message_freep(void *message)
{
    message_free(*(void **)message);
}
#define auto_message AUTO(message_freep)

/* Adds its bytes to OUT. */
void message_pack(const ProtobufCMessage *message, struct text *out);

#endif
