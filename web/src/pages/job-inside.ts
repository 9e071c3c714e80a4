// What a job was asked to do and what it left: for its owner, and whoever may see inside.
import { html, nothing, type TemplateResult } from 'lit'
import * as f from '../format.ts'
import { copyButton, copyLine } from '../parts/copy.ts'
import type { Attempt, Job } from '../server/types.ts'
import { quote } from '../shell.ts'
import { language, t, tCount } from '../texts/index.ts'
import { commandLine } from './submit-draft.ts'

const fact = (name: string, value: unknown) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`

/** The job as it would be handed in. */
function bodyOf(j: Job): Record<string, unknown> {
  const body: Record<string, unknown> = { command: j.command ?? [] }
  const take = (name: string, value: unknown) => {
    if (value !== null && value !== undefined && value !== '') body[name] = value
  }
  for (const name of ['name', 'gpus', 'gpu_memory', 'cpu', 'memory', 'time_limit', 'team', 'work_dir', 'config_file', 'retries'] as const) take(name, j[name])
  take('progress', j.progress_pattern)
  if (j.exclusive) body['exclusive'] = true
  if (Object.keys(j.env ?? {}).length) body['env'] = j.env
  if (Object.keys(j.labels ?? {}).length) body['labels'] = j.labels
  return body
}

const pairs = (map: Record<string, string>) =>
  html`<ul class="pairs">${Object.entries(map).map(([name, value]) => html`<li><code>${name}=${value}</code></li>`)}</ul>`

export function parameters(j: Job) {
  if (!j.command) return nothing
  const path = (text: string) => html`<code class="path">${text}</code>${copyButton(text, t('job.workDir'))}`
  return html`<section aria-labelledby="job-parameters"><h2 id="job-parameters">${t('job.parameters')}</h2>
    ${copyLine(j.command.map(quote).join(' '), t('job.command'))}
    <dl class="facts-list">
      ${fact(t('word.gpus'), `${f.number(j.gpus)}${j.gpu_memory ? ` × ${f.mebibytes(j.gpu_memory)}` : ''}`)}
      ${j.cpu ? fact(t('job.cpu'), f.number(j.cpu, j.cpu % 1 ? 1 : 0)) : nothing}
      ${j.memory ? fact(t('job.memory'), f.mebibytes(j.memory)) : nothing}
      ${fact(t('job.timeLimit'), j.time_limit ? f.duration(j.time_limit * 1_000) : t('job.noLimit'))}
      ${fact(t('job.retries'), j.exclusive ? t('job.exclusive') : f.number(j.retries))}
      ${j.work_dir ? fact(t('job.workDir'), path(j.work_dir)) : nothing}
      ${j.config_file ? fact(t('job.config'), path(j.config_file)) : nothing}
      ${Object.keys(j.env ?? {}).length ? fact(t('job.env'), pairs(j.env!)) : nothing}
      ${Object.keys(j.labels ?? {}).length ? fact(t('job.labels'), pairs(j.labels!)) : nothing}
      ${j.warnings?.length ? fact(t('job.warnings'), html`<ul class="pairs">${j.warnings.map(w => html`<li class="warn">${w}</li>`)}</ul>`) : nothing}
    </dl>
    <details class="again"><summary>${t('job.asShell')}</summary>${copyLine(commandLine(bodyOf(j), location.origin), t('job.asShell'))}</details>
  </section>`
}

/** The values that a job reported: figures and texts; what is deeper can be opened. */
function reported(data: object): TemplateResult {
  const text = (v: unknown) => (typeof v === 'number' ? v.toLocaleString(language, { maximumFractionDigits: 6 }) : typeof v === 'string' ? v : JSON.stringify(v))
  const value = (v: unknown) => {
    const n = v && typeof v === 'object' ? Object.keys(v).length : 0
    return n ? html`<details><summary>${tCount('job.outcome.more', n)}</summary>${reported(v as object)}</details>` : text(v)
  }
  return html`<dl class="reported">${Object.entries(data).map(([name, v]) => fact(name, value(v)))}</dl>`
}

export function results(j: Job, a: Attempt | undefined): TemplateResult | typeof nothing {
  if (!a || j.command === undefined) return nothing
  const r = a.results
  const files = r?.files ?? []
  const data = a.metadata && Object.keys(a.metadata).length ? a.metadata : null
  return html`<section aria-labelledby="job-results"><h2 id="job-results">${t('job.results')}</h2>
    ${data ? html`<h3 class="sub">${t('job.outcome')}</h3>${reported(data)}` : nothing}
    ${r?.path ? html`<p class="results-where"><code class="path">${r.path}</code>${copyButton(r.path, t('job.results'))} <span class="quiet">${t('queue.onNode', { node: r.node ?? a.node ?? '' })}</span></p>` : nothing}
    ${files.length
      ? html`<ul class="files">${files.map(file => html`<li><code>${file.name}</code><span class="right quiet">${f.bytes(file.size)}</span></li>`)}</ul>`
      : html`<p class="quiet">${a.ended_at ? t('job.results.none') : t('job.results.later')}</p>`}
  </section>`
}
