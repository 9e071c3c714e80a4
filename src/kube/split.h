/*
 * A long JSON text, as it comes in from the network, cut into the objects in it, one after the
 * other: the events of a watch, or the items of a list. Memory: the object being read.
 */
#ifndef KUBE_SPLIT_H
#define KUBE_SPLIT_H

#include "base/text.h"

enum kube_split_mode {
    KUBE_SPLIT_EVENTS, /* objects behind one another, with or without line breaks */
    KUBE_SPLIT_ITEMS,  /* one object, the values of whose list "items" are wanted */
};

struct kube_split {
    enum kube_split_mode mode;
    size_t most; /* bytes of one object, and of what is around the items */
    /* The LEN bytes of one object; borrowed. False: no more of them. */
    bool (*on_object)(void *arg, const char *json, size_t len);
    void *arg;

    /* All below is split.c's own. */
    struct text object; /* the one being read, as far as it came in an earlier piece */
    struct text rest;   /* of a list: everything else, with nothing in "items" */
    unsigned depth;
    bool in_text, escaped;
    bool in_object;    /* of those wanted */
    bool in_items;     /* between the brackets of the list */
    bool expects_key;  /* of the frame */
    bool key_is_items; /* the last key of the frame */
    bool is_over;      /* the frame's closing bracket was read */
    size_t text_at;    /* in REST, behind the quote that opened the last text of the frame */
};

/* MODE, MOST, ON_OBJECT and ARG are set, the rest is zero. */
void kube_split_done(struct kube_split *s);

/* The next LEN bytes. -1: ERR_INVALID (no such JSON), ERR_TOO_LARGE, or code ERR_NONE: on_object
 * wants no more. */
int kube_split_feed(struct kube_split *s, const char *p, size_t len, struct err *e);

/* Whether nothing was cut off. For a list, its frame is in s->rest then. */
int kube_split_end(const struct kube_split *s, struct err *e);

#endif
