// One job: what it is about, what happens to it, what it prints, what it took.
import { html, nothing } from 'lit'
import * as f from '../format.ts'
import '../parts/chart.ts'
import type { ChartSeries } from '../parts/chart.ts'
import { icon } from '../parts/icon.ts'
import { act, may, type JobAction } from '../parts/job-actions.ts'
import { deviceNames, expected } from '../parts/job-cells.ts'
import '../parts/log-view.ts'
import { meter } from '../parts/meter.ts'
import { empty, failure, loading } from '../parts/notice.ts'
import { Part, Ticking } from '../parts/part.ts'
import { jobState, userName } from '../parts/state.ts'
import { go, to } from '../router.ts'
import { Resource, Watch } from '../server/resource.ts'
import { session } from '../server/session.ts'
import { status } from '../server/shared.ts'
import type { Attempt, Event, HistoryRow, Job, SampleRow, Samples } from '../server/types.ts'
import { t } from '../texts/index.ts'
import { parameters, results } from './job-inside.ts'
import { attempts, holders, story } from './job-story.ts'

interface History {
  items: HistoryRow[]
  cut?: boolean
}

const isOpen = (j: Job) => ['Queued', 'Scheduled', 'Running'].includes(j.state)

const between = (from: string | null | undefined, to: string | null | undefined) => (from && to ? Date.parse(to) - Date.parse(from) : null)

class JobPage extends Part {
  static override properties = { number: { attribute: false }, chosen: { state: true } }
  /** Its number, as it stands in the address. */
  declare number: string
  /** The attempt whose log and figures are shown; 0: the newest. */
  declare chosen: number

  private about = (e: Event) => /^(job|attempt)\./.test(e.kind) && String(e.job) === this.number
  private job = new Watch(this, new Resource<Job>(null, { on: this.about, every: 3_000, calm: 200 }))
  private history = new Watch(this, new Resource<History>(null, { on: this.about, calm: 200 }))
  private samples = new Watch(this, new Resource<Samples>(null, { on: this.about, every: 10_000, calm: 1_000 }))

  private status = new Watch(this, status)

  constructor() {
    super()
    this.number = ''
    this.chosen = 0
    new Ticking(this, 1_000)
  }

  override willUpdate(changed: Map<PropertyKey, unknown>) {
    const path = /^\d+$/.test(this.number) ? `/api/v1/jobs/${this.number}` : null
    if (changed.has('number')) {
      this.chosen = 0
      this.job.resource.setPath(path)
      this.history.resource.setPath(path && `${path}/history`)
    }
    const n = this.shownAttempt?.n
    const inside = this.job.value?.command !== undefined
    this.samples.resource.setPath(path && n && inside && session.may('metrics') ? `${path}/samples?attempt=${n}` : null)
  }

  private get shownAttempt(): Attempt | undefined {
    const all = this.job.value?.attempts
    return all?.find(a => a.n === this.chosen) ?? all?.at(-1)
  }

  override render() {
    const { value: j, problem } = this.job
    const crumb = html`<p class="crumb"><a href=${to('jobs')}>${icon('back')}${t('job.back')}</a></p>`
    if (!/^\d+$/.test(this.number) || problem?.status === 404) return html`${crumb}${empty(t('job.gone', { id: this.number }))}`
    if (!j) return html`${crumb}${problem ? failure(problem, () => this.job.resource.refresh()) : loading(6)}`
    const inside = j.command !== undefined
    return html`${crumb} ${this.head(j)} ${this.facts(j)}
      ${inside ? nothing : html`<p class="job-private quiet">${t('job.private')}</p>`}
      <div class="job-columns ${inside ? '' : 'job-outside'}">
        ${inside ? html`<div class="job-main">${this.log(j)} ${this.use(j)} ${results(j, this.shownAttempt)}</div>` : nothing}
        <div class="job-side">
          ${story(this.history.value?.items, !!this.history.value?.cut)} ${attempts(j)} ${parameters(j)}
        </div>
      </div>`
  }

  // ---- head ----

  private head(j: Job) {
    const button = (action: JobAction, picture: Parameters<typeof icon>[0], text: string, bad = false) =>
      may(action, j) ? html`<button class="button ${bad ? 'button-bad' : ''}" @click=${() => this.act(action, j)}>${icon(picture)}${text}</button>` : nothing
    return html`<div class="job-head">
        <div class="job-title"><h1>${j.name || t('job.number', { id: j.id })}</h1>${jobState(j)}
          <span class="quiet">${j.name ? t('job.number', { id: j.id }) + ' · ' : ''}${userName(j.user, session.me?.user)}${j.team ? ` · ${j.team}` : ''} · <span title=${f.exact(j.submitted_at)}>${f.moment(j.submitted_at)}</span></span>
        </div>
        <div class="job-actions">
          ${button('retry', 'retry', t('do.retry'))} ${button('hold', 'pause', t('do.hold'))} ${button('release', 'play', t('do.release'))}
          ${button('cancel', 'cross', t('do.cancelJob'), true)} ${button('delete', 'trash', t('do.delete'), true)}
        </div>
      </div>
      ${j.reason && j.state !== 'Completed' ? html`<p class="job-reason job-reason-${j.state.toLowerCase()}">${f.sentence(j.reason)}</p>` : nothing}
      ${holders(j)}
      ${j.state === 'Running' && j.progress
        ? html`<div class="job-progress">${meter(j.progress.percent / 100, f.percent(j.progress.percent, 1), t('word.progress'), 'progress')}
            <span class="quiet">${j.progress.total ? `${f.number(j.progress.done)} / ${f.number(j.progress.total)}` : ''}</span></div>`
        : nothing}`
  }

  private async act(action: JobAction, j: Job) {
    if (!(await act(action, [j]))) return
    if (action === 'delete') go(to('jobs'))
    else this.job.resource.refresh()
  }

  /** Where Argo's own page shows the Workflow of the newest attempt; null where there is none. */
  private workflow(j: Job) {
    const { argo, site } = this.status.value ?? {}
    if (!argo || !j.attempt || !(j.runner?.startsWith('argo') || j.template)) return null
    return `${argo.url.replace(/\/+$/, '')}/workflows/${argo.namespace}/reeve-${site}-${j.id}-${j.attempt}`
  }

  private facts(j: Job) {
    const workflow = this.workflow(j)
    const fact = (name: string, value: unknown, note = '') => html`<div title=${note}><dt>${name}</dt><dd>${value}</dd></div>`
    const queued = j.state === 'Queued'
    const ran = j.state === 'Running' ? Math.max(j.run_ms ?? 0, f.since(j.started_at) ?? 0) : (j.run_ms ?? between(j.started_at, j.ended_at))
    const unmeasured = j.attempts?.some(a => a.ended_at && a.energy_measured === false)
    return html`<dl class="facts job-facts">
      ${queued ? fact(t('job.place'), f.number(j.position)) : nothing}
      ${queued ? fact(t('job.expected'), expected(j)) : nothing}
      ${j.node ? fact(isOpen(j) ? t('job.where') : t('job.ranOn'), html`${j.node} <span class="quiet">${deviceNames(j.devices)}${j.devices?.[0]?.model ? ', ' + f.model(j.devices[0].model) : ''}</span>`) : nothing}
      ${fact(t('job.wait'), f.duration(queued ? f.since(j.submitted_at) : j.wait_ms))}
      ${queued && !j.attempt ? nothing : fact(t('job.run'), f.duration(ran))}
      ${j.energy_joules === undefined || !j.started_at ? nothing : fact(t('job.energy'), html`${f.energy(j.energy_joules)} ${isOpen(j) ? html`<span class="quiet">${t('job.soFar')}</span>` : nothing}`, unmeasured ? t('job.energyUnmeasured') : '')}
      ${j.cost_micros === undefined || !j.started_at ? nothing : fact(t('job.cost'), html`${f.money(j.cost_micros, j.currency)} ${isOpen(j) ? html`<span class="quiet">${t('job.soFar')}</span>` : nothing}`)}
      ${workflow ? fact(t('job.workflow'), html`<a href=${workflow} target="_blank" rel="noreferrer">${t('job.workflow.show')}</a>`) : nothing}
      ${isOpen(j) || j.exit_code == null ? nothing : fact(t('job.exitCode'), f.number(j.exit_code))}
    </dl>`
  }

  // ---- log and figures ----

  private log(j: Job) {
    const all = (j.attempts ?? []).filter(a => a.state !== 'Decided').map(a => a.n)
    const a = this.shownAttempt
    const n = a && all.includes(a.n) ? a.n : (all.at(-1) ?? 0)
    return html`<reeve-log .job=${j.id} .attempt=${n} .live=${isOpen(j) && n === j.attempt} .choices=${all} .onAttempt=${(chosen: number) => (this.chosen = chosen)}></reeve-log>`
  }

  private use(j: Job) {
    const head = html`<h2 id="job-use">${t('job.use')}</h2>`
    const { value, problem } = this.samples
    if (!j.gpus || problem?.status === 404) return nothing
    if (!this.shownAttempt) return html`<section aria-labelledby="job-use">${head}<p class="quiet">${t('job.use.later')}</p></section>`
    const rows = value?.items ?? []
    const ended = !!this.shownAttempt.ended_at
    const any = rows.some(row => row.gpu_utilization?.some(v => v !== null))
    if (!value || !any) return html`<section aria-labelledby="job-use">${head}<p class="quiet">${t('job.use.none')}</p></section>`
    const chart = (label: string, name: keyof SampleRow & ('gpu_utilization' | 'memory_used_mib' | 'power_watts' | 'temperature_celsius'), unit: (v: number | null) => string, max?: number) =>
      html`<reeve-chart .label=${label} .series=${this.series(j, rows, name)} .start=${value.start} .stepMs=${value.step_ms} .unit=${unit} .max=${max} sync="job" .rest=${ended ? t('job.use.last') : undefined}></reeve-chart>`
    return html`<section aria-labelledby="job-use">${head}<div class="chart-pair">
      ${chart(t('word.use'), 'gpu_utilization', f.percent, 100)} ${chart(t('word.memory'), 'memory_used_mib', f.mebibytes)}
      ${chart(t('word.power'), 'power_watts', f.watts)} ${chart(t('word.temperature'), 'temperature_celsius', f.celsius)}
    </div></section>`
  }

  private series(j: Job, rows: SampleRow[], name: 'gpu_utilization' | 'memory_used_mib' | 'power_watts' | 'temperature_celsius'): ChartSeries[] {
    const colors = ['--use', '--memory', '--accent', '--wait', '--run', '--bad']
    const devices = this.shownAttempt?.devices ?? j.devices ?? []
    return rows.map((row, i) => ({
      name: `GPU ${devices.find(d => d.id === row.id)?.index ?? row.id}`,
      values: row[name] ?? [],
      color: colors[i % colors.length]!,
    }))
  }
}

customElements.define('reeve-job', JobPage)
