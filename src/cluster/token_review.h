/*
 * On which node is the agent that shows this token? Agents that run as pods have a token of their
 * service account, made for one pod and for one audience; the API server says whose it is
 * (TokenReview), and with that on which node its pod runs. So such an agent needs no one-time
 * token, and can speak for its own node only.
 */
#ifndef CLUSTER_TOKEN_REVIEW_H
#define CLUSTER_TOKEN_REVIEW_H

#include "kube/client.h"

struct token_reviewer;

/* AUDIENCE: what the token must be made for. ACCOUNT: whose it must be, "NAMESPACE/NAME". Both are
 * copied. CLIENT is borrowed; all belongs to its loop's thread. Never NULL. */
struct token_reviewer *token_reviewer_new(struct kube_client *client, const char *audience,
                                          const char *account);

/* Answers everything that is asked about with ERR_UNAVAILABLE. Before the client goes. NULL is
 * fine. */
void token_reviewer_free(struct token_reviewer *r);

/*
 * ON_DONE gets the node's name; or NULL and WHY: ERR_UNAUTHENTICATED, ERR_DENIED (the token is
 * good, but not for this), ERR_EXHAUSTED (too many are asked about), ERR_UNAVAILABLE (nobody could
 * say). Once, at the latest after some seconds, perhaps from within this call.
 */
void token_review(struct token_reviewer *r, const char *token,
                  void (*on_done)(void *arg, const char *node, const struct err *why), void *arg);

#endif
