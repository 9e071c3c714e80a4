// What happened to a job, as a line of time, and each of its attempts.
import { html, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import * as f from '../format.ts'
import { icon, type IconName } from '../parts/icon.ts'
import { deviceNames } from '../parts/job-cells.ts'
import { to } from '../router.ts'
import type { Attempt, HistoryRow, Job } from '../server/types.ts'
import { t, tMaybe } from '../texts/index.ts'

const pictures: Record<string, IconName> = {
  'job.submitted': 'submit',
  'job.cancel': 'dash',
  'job.retried': 'retry',
  'job.held': 'pause',
  'job.released': 'play',
  'job.due': 'clock',
  'attempt.decided': 'fleet',
  'attempt.sent': 'submit',
  'attempt.waits': 'clock',
  'attempt.bound': 'fleet',
  'attempt.started': 'play',
  'attempt.refused': 'alert',
  'attempt.lost': 'alert',
}

/** Of an end its state says more than the word. */
function pictureOf(row: HistoryRow): IconName {
  if (row.event !== 'attempt.ended') return pictures[row.event] ?? 'dots'
  return row.state === 'Completed' ? 'check' : row.state === 'Cancelled' ? 'dash' : 'cross'
}

function kindOf(row: HistoryRow): string {
  if (row.event === 'attempt.ended') return row.state === 'Completed' ? 'good' : row.state === 'Cancelled' ? 'quiet' : 'bad'
  if (row.event === 'attempt.started') return 'run'
  return /lost|refused/.test(row.event) ? 'bad' : 'plain'
}

function entry(row: HistoryRow, before: HistoryRow | undefined, many: boolean) {
  const later = before?.time && row.time ? Date.parse(row.time) - Date.parse(before.time) : null
  const word = row.event === 'attempt.ended' ? tMaybe('state.' + row.state, row.state ?? '') : tMaybe('event.' + row.event, row.event)
  return html`<li class="story-row story-${kindOf(row)}">
    <span class="story-mark">${icon(pictureOf(row))}</span>
    <span class="story-what"><strong>${word}</strong>
      ${many && row.attempt ? html`<span class="quiet">${t('job.attempt', { n: row.attempt })}</span>` : nothing}
      ${row.node ? html`<span class="quiet">${t('queue.onNode', { node: row.node })} ${deviceNames(row.devices)}</span>` : nothing}
      ${row.actor ? html`<span class="quiet">${t('job.history.by', { user: row.actor })}</span>` : nothing}
      ${row.reason ? html`<span class="story-why">${f.sentence(row.reason)}</span>` : nothing}
    </span>
    <time class="story-when" datetime=${row.time ?? ''} title=${f.exact(row.time)}>${f.clock(row.time)}${!later ? nothing : html`<span class="quiet">+${f.duration(later)}</span>`}</time>
  </li>`
}

export function story(rows: HistoryRow[] | undefined, cut: boolean) {
  if (!rows?.length) return nothing
  const many = rows.some(row => (row.attempt ?? 1) > 1)
  const day = (time: string | null) => (time ? new Date(time).toDateString() : '')
  return html`<section aria-labelledby="job-history"><h2 id="job-history">${t('job.history')}</h2>
    <p class="quiet story-day">${f.moment(rows[0]!.time)}</p>
    <ol class="story">${repeat(
      rows,
      row => row.seq,
      (row, i) => html`${i && day(row.time) !== day(rows[i - 1]!.time) ? html`<li class="quiet story-day">${f.moment(row.time)}</li>` : nothing}${entry(row, rows[i - 1], many)}`,
    )}</ol>
    ${cut ? html`<p class="quiet line">${t('job.history.cut')}</p>` : nothing}
  </section>`
}

/** Each attempt in a line; of one alone the head of the page says it all. */
export function attempts(j: Job) {
  const all = j.attempts ?? []
  if (all.length < 2) return nothing
  return html`<section aria-labelledby="job-attempts"><h2 id="job-attempts">${t('job.attempts')}</h2>
    <ol class="attempts">${repeat([...all].reverse(), a => a.n, attempt)}</ol>
  </section>`
}

function attempt(a: Attempt) {
  const word = a.ended_at ? tMaybe('state.' + endOf(a), a.outcome ?? '') : tMaybe('attempt.' + a.state, a.state)
  return html`<li class="attempt">
    <span><strong>${t('job.attempt', { n: a.n })}</strong> ${word}</span>
    <span class="quiet">${a.node ? t('queue.onNode', { node: a.node }) : ''} ${deviceNames(a.devices)}</span>
    <span class="right">${f.duration(a.run_ms ?? (a.started_at ? f.since(a.started_at) : null))}</span>
    ${a.reason ? html`<span class="attempt-why quiet">${f.sentence(a.reason)}</span>` : nothing}
  </li>`
}

const endOf = (a: Attempt) => (a.outcome === 'completed' ? 'Completed' : a.outcome === 'cancelled' ? 'Cancelled' : 'Failed')

/** Who has what a waiting job lacks, as links. */
export function holders(j: Job) {
  const ids = [...new Map((j.why?.held_by ?? []).filter(h => h.job).map(h => [h.job, h])).values()]
  if (!ids.length) return nothing
  return html`<p class="job-holders">${t('job.heldBy')}
    ${ids.map(h => html`<a href=${to('jobs', h.job!)}>${t('job.number', { id: h.job! })}</a>${h.user ? html` <span class="quiet">${h.user}</span>` : nothing} `)}</p>`
}
