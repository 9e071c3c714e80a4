/*
 * Argo Workflows, whoever takes them: the Kubernetes API or Argo Server. A job runs a template that
 * an administrator named, or, when it has an image or a command of its own, a workflow of one step.
 *
 * What users write is data. Argo puts variables and the values of expressions in place of "{{...}}"
 * wherever it finds them, also within values that it has just put in: such values are refused where
 * they are parameters, and written in another way where they are commands or environment.
 */
#ifndef RUNNER_ARGO_H
#define RUNNER_ARGO_H

#include "kube/job.h"
#include "runner/kube_runner.h"

/* The Workflow, behind what OUT has. IS_HELD: with our finalizer; else it is to stay for
 * some time after its end by itself. */
int argo_write(struct text *out, const struct runner_attempt *a, const struct kube_place *p,
               const struct kube_settings *s, bool is_held, struct err *e);

void argo_judge(const struct kube_head *object, const struct kube_pod *const *pods, size_t count,
                struct runner_view *ret);

#endif
