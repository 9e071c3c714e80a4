// What lists of jobs have in common: a job in one cell.
import { html, nothing } from 'lit'
import * as f from '../format.ts'
import { to } from '../router.ts'
import type { DeviceRef, Job } from '../server/types.ts'
import { t, tMaybe } from '../texts/index.ts'

/** Number and name; others' names are absent. */
export function jobName(j: Job) {
  return html`<a class="job-link" href=${to('jobs', j.id)}><span class="job-id">${j.id}</span>${j.name ?? ''}</a>`
}

/** 2 GPU · 8 GiB · 4 CPU: what it asked for, in short. */
export function needs(j: Job): string {
  const parts: string[] = []
  if (j.gpus !== undefined) parts.push(`${f.number(j.gpus)} GPU${j.gpu_memory ? ' × ' + f.mebibytes(j.gpu_memory) : ''}`)
  if (j.cpu) parts.push(`${f.number(j.cpu, j.cpu % 1 ? 1 : 0)} CPU`)
  return parts.join(' · ')
}

/** What its sentence says behind the needs, which stand in a column of their own. */
export function whyInShort(j: Job): string {
  const reason = f.sentence(j.reason)
  const cut = reason.indexOf('; ')
  const needsOnly = j.reason_code !== 'held' && j.reason_code !== 'paused' && j.reason_code !== 'cancelling'
  return j.state === 'Queued' && needsOnly && cut > 0 ? reason.slice(cut + 2) : reason
}

/** GPU 0, 1 */
export function deviceNames(devices: DeviceRef[] | undefined): string {
  return devices?.length ? 'GPU ' + devices.map(d => d.index).join(', ') : ''
}

export function where(j: Job) {
  if (!j.node) return nothing
  return html`<span>${t('queue.onNode', { node: j.node })}</span> <span class="quiet">${deviceNames(j.devices)}</span>`
}

/** When it starts, as far as the server can tell. */
export function expected(j: Job) {
  if (j.state !== 'Queued') return html``
  if (!j.expected_start_at) return html`<span class="quiet">–</span>`
  const basis = tMaybe('expected.' + (j.expected_basis ?? 'none'), '')
  const soon = Date.parse(j.expected_start_at) - Date.now() < 1_500
  return html`<span title="${f.exact(j.expected_start_at)}, ${basis}">${soon ? t('expected.soon') : f.ago(j.expected_start_at)}</span>`
}

/** Names that occur, sorted. */
export function names(all: (string | null | undefined)[]): string[] {
  return [...new Set(all.filter((name): name is string => !!name))].sort()
}
