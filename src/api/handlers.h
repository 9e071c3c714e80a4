/* What routes.c names: one function a route. */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/call.h"

/* On the door's thread, owing an answer. */
void serve_healthz(struct call *c);
void serve_readyz(struct call *c);
void serve_openapi(struct call *c);
void serve_page(struct call *c);
void serve_asset(struct call *c);
void serve_metrics(struct call *c);
void serve_status(struct call *c);
void serve_whoami(struct call *c);
void serve_events(struct call *c);

void serve_source_submit(struct call *c);
void serve_job_submit(struct call *c);
void serve_job_batch(struct call *c);
void serve_templates(struct call *c);
void serve_job_cancel(struct call *c);
void serve_job_retry(struct call *c);
void serve_job_delete(struct call *c);
void serve_job_hold(struct call *c);
void serve_job_release(struct call *c);
void serve_job_logs(struct call *c);

void serve_node_lost(struct call *c);
void serve_node_retire(struct call *c);

void serve_users(struct call *c);
void serve_user(struct call *c);
void serve_user_add(struct call *c);
void serve_user_change(struct call *c);
void serve_user_disable(struct call *c);
void serve_token_create(struct call *c);
void serve_token_revoke(struct call *c);
void serve_enrolment_create(struct call *c);
void serve_link_create(struct call *c);
void serve_link(struct call *c);
void serve_session_begin(struct call *c);
void serve_session_end(struct call *c);

void serve_ledger_verify(struct call *c);
void serve_ledger_replay(struct call *c);

void serve_enrol(struct call *c);
void serve_agent_stream(struct call *c);
void serve_agent_report(struct call *c);
void serve_agent_logs(struct call *c);
void serve_agent_write(struct call *c);
void serve_write(struct call *c);

/* On a worker, filling the answer. */
int read_jobs(struct call *c, struct store_reader *r, struct err *e);
int read_job(struct call *c, struct store_reader *r, struct err *e);
int read_job_samples(struct call *c, struct store_reader *r, struct err *e);
int read_job_history(struct call *c, struct store_reader *r, struct err *e);
int read_queue(struct call *c, struct store_reader *r, struct err *e);
int read_nodes(struct call *c, struct store_reader *r, struct err *e);
int read_node(struct call *c, struct store_reader *r, struct err *e);
int read_devices(struct call *c, struct store_reader *r, struct err *e);
int read_device(struct call *c, struct store_reader *r, struct err *e);
int read_samples(struct call *c, struct store_reader *r, struct err *e);
int read_tokens(struct call *c, struct store_reader *r, struct err *e);
int read_enrolments(struct call *c, struct store_reader *r, struct err *e);
int read_ledger(struct call *c, struct store_reader *r, struct err *e);

#endif
