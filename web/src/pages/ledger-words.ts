// A row of the ledger as a sentence: who did what to what. Links lead to what is still there.
import { html, type TemplateResult } from 'lit'
import * as f from '../format.ts'
import type { IconName } from '../parts/icon.ts'
import { to } from '../router.ts'
import { devices, nodes } from '../server/shared.ts'
import type { LedgerRow, Role } from '../server/types.ts'
import { t, tCount, tMaybe, type TextKey } from '../texts/index.ts'

type Part = TemplateResult | string

const ROLES: Role[] = ['admin', 'operator', 'user', 'viewer', 'service']
const HEALTHS = ['ok', 'unknown', 'faulty', 'gone'] as const
/** As the server counts them: enum attempt_outcome. */
const COMPLETED = 1
const CANCELLED = 6
/** enum token_kind. */
const SESSION = 1
const LINK = 2

/** Kinds of rows, as the filter groups them. */
export const groups: Record<string, string[]> = {
  jobs: ['job.submitted', 'job.cancel', 'job.retried', 'job.deleted', 'job.due', 'job.held', 'job.released', 'attempt.decided', 'attempt.sent', 'attempt.waits', 'attempt.bound', 'attempt.started', 'attempt.refused', 'attempt.ended', 'attempt.lost'],
  fleet: ['enrolment.created', 'node.enrolled', 'node.hello', 'node.changed', 'node.silent', 'node.lost', 'node.retired', 'node.share', 'node.labels', 'node.taint', 'device.seen', 'device.changed'],
  people: ['principal.added', 'principal.changed', 'token.created', 'token.revoked'],
  plans: ['plan'],
  operation: ['store.created', 'epoch.began', 'policy.set', 'clock.stepped', 'snapshot'],
}

/** The text of KEY, with parts of the page where it has {names}. */
function sentence(key: TextKey, parts: Record<string, Part>): TemplateResult {
  const pieces = t(key).split(/\{(\w+)\}/)
  return html`${pieces.map((piece, i) => (i % 2 ? (parts[piece] ?? '') : piece))}`
}

const number = (row: LedgerRow, name: string) => (typeof row.body?.[name] === 'number' ? (row.body[name] as number) : 0)
const text = (row: LedgerRow, name: string) => (typeof row.body?.[name] === 'string' ? (row.body[name] as string) : '')

const strong = (name: string | null | undefined): Part => (name ? html`<strong>${name}</strong>` : '–')
/** The job, in a sentence and at its beginning. */
const job = (row: LedgerRow): Record<string, Part> => ({
  job: html`<a href=${to('jobs', row.subject)}>${t('says.job', { id: row.subject ?? 0 })}</a>`,
  Job: html`<a href=${to('jobs', row.subject)}>${t('says.Job', { id: row.subject ?? 0 })}</a>`,
})

function nodeOf(id: number): Part {
  const name = nodes.value?.items.find(n => n.id === id)?.name
  return name ? html`<a href=${to('fleet', null, { node: name })}>${name}</a>` : `#${id}`
}

function deviceOf(id: number): Part {
  const d = devices.value?.items.find(x => x.id === id)
  return html`<a href=${to('fleet', id)}>${d ? `${d.node}:${d.index}` : `#${id}`}</a>`
}

function devicesOf(row: LedgerRow): Part[] {
  const list = row.body?.['devices']
  return Array.isArray(list) ? list.flatMap((id, i) => (i ? [', ', deviceOf(Number(id))] : [deviceOf(Number(id))])) : []
}

type Teller = (row: LedgerRow, who: Part) => TemplateResult

const node: Record<string, Teller> = {
  'node.enrolled': row => sentence('says.node.enrolled', { node: subject(row) }),
  'node.hello': row =>
    sentence('says.node.hello', {
      node: subject(row),
      cores: t('fleet.cores', { n: f.number(number(row, 'cpu_milli') / 1_000) }),
      memory: f.mebibytes(number(row, 'memory_mib')),
      version: text(row, 'version'),
    }),
  'node.changed': row =>
    number(row, 'busy')
      ? sentence('says.node.busy', { node: subject(row), cpu: f.percent(number(row, 'cpu_pct')), memory: f.percent(number(row, 'memory_pct')) })
      : sentence('says.node.free', { node: subject(row) }),
  'node.share': row => (row.why ? sentence('says.node.refuses', { node: subject(row), why: row.why }) : sentence('says.node.share', { node: subject(row), cores: t('fleet.cores', { n: f.number(number(row, 'cpu_milli') / 1_000) }), memory: f.mebibytes(number(row, 'memory_mib')), n: f.number(number(row, 'foreign_gpus')) })),
  'node.labels': row => sentence('says.node.labels', { node: subject(row) }),
  'node.taint': row => (text(row, 'taint') ? sentence('says.node.taint', { node: subject(row), taint: text(row, 'taint') }) : sentence('says.node.taint.none', { node: subject(row) })),
  'node.silent': row => sentence('says.node.silent', { node: subject(row), time: f.duration(number(row, 'silent_ms')) }),
  'node.lost': row => sentence('says.node.lost', { node: subject(row), why: row.why ?? '' }),
  'node.retired': (row, who) => sentence('says.node.retired', { who, node: strong(row.subject_name ?? `#${row.subject}`) }),
  'device.seen': row => sentence('says.device.seen', { device: subject(row), model: f.model(text(row, 'model')), memory: f.mebibytes(number(row, 'memory_mib')) }),
  'device.changed': row => {
    const health = HEALTHS[number(row, 'health')] ?? 'unknown'
    const parts = { device: subject(row), why: row.why ?? '–', memory: f.mebibytes(number(row, 'free_mib')) }
    if (health === 'ok') return sentence(number(row, 'busy') || number(row, 'foreign') ? 'says.device.busy' : 'says.device.ok', parts)
    return sentence(`says.device.${health}`, parts)
  },
}

function subject(row: LedgerRow): Part {
  const name = row.subject_name ?? `#${row.subject}`
  if (row.kind.startsWith('node.')) return html`<a href=${to('fleet', null, { node: name })}>${name}</a>`
  return html`<a href=${to('fleet', row.subject)}>${name}</a>`
}

const people: Record<string, Teller> = {
  'principal.added': (row, who) => sentence('says.principal.added', { who, name: strong(text(row, 'name') || row.subject_name), role: role(row) }),
  'principal.changed': (row, who) => sentence(number(row, 'disabled') ? 'says.principal.disabled' : 'says.principal.changed', { who, name: strong(row.subject_name), role: role(row) + (text(row, 'team') ? `, ${text(row, 'team')}` : '') }),
  'token.created': (row, who) => {
    const kind = number(row, 'kind')
    return sentence(kind === SESSION ? 'says.token.session' : kind === LINK ? 'says.token.link' : 'says.token.created', { who, n: `${row.subject}`, name: strong(row.subject_name) })
  },
  'token.revoked': (row, who) => sentence('says.token.revoked', { who, n: `${row.subject}`, name: strong(row.subject_name) }),
  'enrolment.created': (row, who) => sentence(text(row, 'node') ? 'says.enrolment.created.named' : 'says.enrolment.created', { who, name: strong(text(row, 'node')) }),
}

function role(row: LedgerRow): string {
  const name = ROLES[number(row, 'role')] ?? ''
  return tMaybe('role.' + name, name)
}

const jobs: Record<string, Teller> = {
  'job.submitted': (row, who) => {
    const n = number(row, 'gpus')
    const gpus = n ? tCount('says.gpus', n) : t('says.gpus.none')
    return row.on_behalf ? sentence('says.job.submitted.behalf', { who, ...job(row), name: strong(row.on_behalf), gpus }) : sentence('says.job.submitted', { who, ...job(row), gpus })
  },
  'job.cancel': (row, who) => sentence('says.job.cancel', { who, ...job(row) }),
  'job.retried': (row, who) => sentence('says.job.retried', { who, ...job(row) }),
  'job.deleted': (row, who) => sentence('says.job.deleted', { who, job: t('says.job', { id: row.subject ?? 0 }) }),
  'job.due': row => sentence('says.job.due', { ...job(row), n: f.number(number(row, 'n')) }),
  'job.held': (row, who) => sentence(row.why ? 'says.job.held.why' : 'says.job.held', { who, ...job(row), why: row.why ?? '' }),
  'job.released': (row, who) => sentence('says.job.released', { who, ...job(row), time: f.duration(number(row, 'held_ms')) }),
  'attempt.decided': row => {
    const given = devicesOf(row)
    return sentence(given.length ? 'says.attempt.decided' : 'says.attempt.decided.cpu', { ...job(row), devices: html`${given}`, node: nodeOf(number(row, 'node')), n: f.number(number(row, 'n')) })
  },
  'attempt.sent': row => sentence('says.attempt.sent', { ...job(row), n: f.number(number(row, 'n')) }),
  'attempt.waits': row => sentence('says.attempt.waits', { ...job(row), why: row.why ?? '' }),
  'attempt.bound': row => sentence('says.attempt.bound', { ...job(row), devices: html`${devicesOf(row)}` }),
  'attempt.started': row => sentence('says.attempt.started', { ...job(row), n: f.number(number(row, 'n')) }),
  'attempt.refused': row => sentence('says.attempt.refused', { ...job(row), why: row.why ?? '' }),
  'attempt.ended': row => {
    const outcome = number(row, 'outcome')
    return sentence(outcome === COMPLETED ? 'says.attempt.completed' : outcome === CANCELLED ? 'says.attempt.cancelled' : 'says.attempt.failed', {
      ...job(row),
      time: f.duration(number(row, 'run_ms')),
      why: row.why ?? '–',
    })
  },
  'attempt.lost': row => sentence('says.attempt.lost', { ...job(row), n: f.number(number(row, 'n')), why: row.why ?? '' }),
}

const moment = (ms: number) => f.moment(new Date(ms).toISOString())

const operation: Record<string, Teller> = {
  'store.created': row => sentence('says.store.created', { site: strong(text(row, 'site')) }),
  'epoch.began': row => sentence('says.epoch.began', { n: f.number(number(row, 'epoch')) }),
  'policy.set': (row, who) =>
    sentence('says.policy.set', { who, n: f.number(number(row, 'version')), price: f.money(number(row, 'gpu_hour_micros'), text(row, 'currency')), power: f.money(number(row, 'kwh_micros'), text(row, 'currency')) }),
  plan: row => sentence('says.plan', { n: `${number(row, 'upto')}`, decisions: tCount('says.jobs', number(row, 'decisions')) }),
  'clock.stepped': row => sentence('says.clock.stepped', { from: moment(number(row, 'from_ms')), to: moment(number(row, 'to_ms')) }),
  snapshot: () => sentence('says.snapshot', {}),
}

const tellers: Record<string, Teller | undefined> = { ...node, ...people, ...jobs, ...operation }

/** A kind that is not known here (a newer server's) is told by its name. */
export function tellRow(row: LedgerRow): TemplateResult {
  const who = row.actor ? strong(row.actor) : t('ledger.reeve')
  const teller = tellers[row.kind]
  return teller && row.body ? teller(row, who) : html`<code>${row.kind}</code> ${row.subject_name ?? row.subject ?? ''}`
}

export function iconOf(row: LedgerRow): { name: IconName; bad: boolean } {
  const bad = row.kind === 'attempt.lost' || row.kind === 'node.lost' || row.kind === 'node.silent' || (row.kind === 'attempt.ended' && ![COMPLETED, CANCELLED].includes(number(row, 'outcome'))) || (row.kind === 'device.changed' && number(row, 'health') > 0)
  const group = Object.keys(groups).find(g => groups[g]!.includes(row.kind))
  const names: Record<string, IconName> = { jobs: 'jobs', fleet: 'fleet', people: 'people', plans: 'queue', operation: 'ledger' }
  return { name: bad ? 'alert' : (names[group ?? ''] ?? 'dots'), bad }
}
