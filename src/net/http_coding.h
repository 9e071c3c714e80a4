/* What a client says it can read: the header Accept-Encoding, bytes from outside. */
#ifndef NET_HTTP_CODING_H
#define NET_HTTP_CODING_H

/*
 * How much an answer in this CODING ("gzip", "br", "identity") is wanted, in thousandths; 0: not at
 * all. ACCEPT NULL or malformed asks for nothing but identity, which is always good unless it is
 * ruled out.
 */
int http_coding_weight(const char *accept, const char *coding);

#endif
