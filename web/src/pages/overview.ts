// The first look: figures of today, what needs attention, every GPU, who runs and who is next.
import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import * as f from '../format.ts'
import { icon } from '../parts/icon.ts'
import { meter } from '../parts/meter.ts'
import { empty, failure, loading } from '../parts/notice.ts'
import { Part, Ticking } from '../parts/part.ts'
import '../parts/spark.ts'
import { deviceState, jobState, nodeState, userName } from '../parts/state.ts'
import { to } from '../router.ts'
import { Resource, Watch } from '../server/resource.ts'
import { session } from '../server/session.ts'
import { deviceHour, devices, lookBack, nodeHour, nodes, queueHead, running, status } from '../server/shared.ts'
import type { Device, Event, Job, Node, Page, SampleRow, Status } from '../server/types.ts'
import { t, tCount } from '../texts/index.ts'

/** More devices than this are one map instead of a row each. */
const ROWS_AT_MOST = 64
/** Failures older than this need no attention any more. */
const RECENT_MS = 24 * 3_600_000

const aboutEnds = (e: Event) => /^(job|attempt\.(ended|lost))/.test(e.kind)
const failed = new Resource<Page<Job>>('/api/v1/jobs?state=Failed&limit=5', { on: aboutEnds, calm: 2_000 })
const ended = new Resource<Page<Job>>('/api/v1/jobs?state=Completed,Failed,Cancelled&limit=8', { on: aboutEnds, calm: 1_000 })

class Overview extends Part {
  private status = new Watch(this, status)
  private nodes = new Watch(this, nodes)
  private devices = new Watch(this, devices)
  private deviceHour = new Watch(this, deviceHour)
  private nodeHour = new Watch(this, nodeHour)
  private queue = new Watch(this, queueHead)
  private running = new Watch(this, running)
  private failed = new Watch(this, failed)
  private ended = new Watch(this, ended)

  /** What the small charts show, in words. */
  private span = ''

  constructor() {
    super()
    new Ticking(this, 1_000)
  }

  override render() {
    const problem = this.status.problem
    if (!this.status.value) return problem ? failure(problem, () => status.refresh()) : loading(6)
    this.span = t(lookBack(this.status.value.uptime_ms) ? 'overview.lastQuarter' : 'overview.lastHour')
    return html`<h1 class="unseen">${t('overview.title')}</h1>
      ${this.figures(this.status.value)} ${this.attention()}
      <div class="columns">
        <div class="column">
          <section aria-labelledby="overview-gpus">${this.gpus()}</section>
          ${this.lately()}
        </div>
        <div class="column column-first">
          <section aria-labelledby="overview-now">${this.now()}</section>
          <section aria-labelledby="overview-next">${this.next(this.status.value)}</section>
          <section aria-labelledby="overview-aims">${this.aims(this.status.value)}</section>
        </div>
      </div>`
  }

  private figures(s: Status) {
    const d = s.devices
    const inUse = (d?.allocated ?? 0) + (d?.busy ?? 0)
    const figure = (label: string, value: string, note: string, href?: string) =>
      html`<div class="figure"><dt>${href ? html`<a href=${href}>${label}</a>` : label}</dt><dd><span class="figure-value">${value}</span><span class="figure-note">${note}</span></dd></div>`
    return html`<dl class="figures">
      ${figure(t('overview.running'), f.number(s.running), t('overview.jobsEnded', { done: f.number(s.completed ?? 0), failed: f.number(s.failed ?? 0) }), to('jobs', null, { state: 'Running' }))}
      ${figure(t('overview.waiting'), f.number(s.queue_length), '', to('queue'))}
      ${figure(t('overview.gpusInUse'), f.number(inUse), t('overview.ofTotal', { n: f.number(d?.total ?? 0) }), session.may('metrics') ? to('fleet') : undefined)}
      ${s.energy_today_joules === undefined ? nothing : figure(t('overview.energyToday'), f.energy(s.energy_today_joules), '')}
      ${s.cost_today_micros === undefined ? nothing : figure(t('overview.costToday'), f.money(s.cost_today_micros, s.currency), '')}
    </dl>`
  }

  private attention() {
    const list: TemplateResult[] = []
    const say = (text: string, href: string | null, bad: boolean) =>
      list.push(html`<li class=${bad ? 'attention-bad' : ''}>${icon('alert')}${href ? html`<a href=${href}>${text}</a>` : html`<span>${text}</span>`}</li>`)
    const all = this.nodes.value?.items ?? []
    if (this.nodes.value && !all.length) say(t('attention.noNodes', { url: location.origin }), null, false)
    for (const n of all) {
      if (n.state === 'unknown') say(t('attention.nodeUnknown', { node: n.name, time: f.moment(n.since) }), to('fleet', null, { node: n.name }), true)
      if (n.state === 'lost') say(t('attention.nodeLost', { node: n.name, time: f.moment(n.since) }), to('fleet', null, { node: n.name }), true)
      if (Math.abs(n.skew_ms ?? 0) > 5_000) say(t('attention.skew', { node: n.name, time: f.duration(Math.abs(n.skew_ms!)) }), null, false)
    }
    for (const d of this.devices.value?.items ?? [])
      if (d.state === 'faulty') say(t('attention.deviceFaulty', { node: d.node, index: d.index, health: d.health ?? '' }), to('fleet', d.id), true)
    for (const j of this.failed.value?.items ?? [])
      if ((f.since(j.ended_at) ?? Infinity) < RECENT_MS) say(t('attention.failed', { id: j.id, name: j.name ?? '', reason: f.sentence(j.reason) }), to('jobs', j.id), false)
    if (!list.length) return nothing
    return html`<section class="attention" aria-labelledby="attention-title"><h2 id="attention-title">${t('attention.title')}</h2><ul>${list.slice(0, 8)}</ul></section>`
  }

  private gpus() {
    const list = this.devices.value?.items
    const head = html`<h2 id="overview-gpus">${t('overview.gpus')}<span class="head-note">${this.span}</span></h2>`
    if (!list) return html`${head}${this.devices.problem ? failure(this.devices.problem) : loading(4)}`
    if (!list.length) return html`${head}${empty(t('overview.noGpus'), t('overview.noGpus.next'))}`
    if (list.length > ROWS_AT_MOST) return html`${head}<p class="quiet">${t('overview.devicesMap', { n: f.number(list.length) })}</p><reeve-device-map .devices=${list}></reeve-device-map>`
    const hour = new Map((this.deviceHour.value?.items ?? []).map(row => [row.id, row]))
    const nodeRows = new Map((this.nodeHour.value?.items ?? []).map(row => [row.id, row]))
    return html`${head}
      ${repeat(
        this.nodes.value?.items.filter(n => list.some(d => d.node === n.name)) ?? [],
        n => n.name,
        n => html`${this.nodeHead(n, nodeRows.get(n.name))}
          <div class="devices">${repeat(list.filter(d => d.node === n.name), d => d.id, d => this.device(d, hour.get(d.id)))}</div>`,
      )}`
  }

  private nodeHead(n: Node, row: SampleRow | undefined) {
    const last = (values: (number | null)[] | undefined) => values?.filter(v => v !== null).pop() ?? null
    const one = (name: string, values: (number | null)[] | undefined) =>
      values ? html`<span class="node-figure"><span class="quiet">${name}</span> ${f.percent(last(values))}<reeve-spark .values=${values} .max=${100} .label="${name}, ${this.span}"></reeve-spark></span>` : nothing
    return html`<h3 class="node-head"><span class="node-name">${n.name}</span>${nodeState(n)}
      <span class="node-figures">${one(t('word.cpu'), row?.cpu_usage)}${one(t('word.memory'), row?.memory_usage)}</span></h3>`
  }

  private device(d: Device, row: SampleRow | undefined) {
    const cell = (name: string, value: string, values: (number | null)[] | undefined, max: number | undefined, kind: string) =>
      html`<div class="device-cell device-${kind}"><span class="device-figure"><span class="device-label">${name}</span> ${value}</span>
        <reeve-spark .values=${values} .max=${max} .label="${name}, ${this.span}"></reeve-spark></div>`
    return html`<div class="device">
      <div class="device-who">
        <div class="device-name"><a href=${to('fleet', d.id)}>GPU ${d.index}</a> <span class="quiet">${f.model(d.model)}</span></div>
        <div class="device-state">${deviceState(d)}${d.job ? html`<a class="device-job" href=${to('jobs', d.job.id)}>${t('word.job')} ${d.job.id}</a> <span class="quiet">${d.job.user ?? ''}</span>` : nothing}</div>
      </div>
      ${cell(t('word.use'), f.percent(d.gpu_utilization), row?.gpu_utilization, 100, 'use')}
      ${cell(t('word.memory'), f.mebibytesOf(d.memory_used_mib, d.memory_total_mib), row?.memory_used_mib, d.memory_total_mib ?? undefined, 'memory')}
      ${cell(t('word.power'), f.watts(d.power_watts), row?.power_watts, undefined, 'power')}
      ${cell(t('word.temperature'), f.celsius(d.temperature_celsius), row?.temperature_celsius, 100, 'heat')}
    </div>`
  }

  private now() {
    const list = this.running.value?.items
    const head = html`<h2 id="overview-now">${t('overview.now')}</h2>`
    if (!list) return html`${head}${loading(2)}`
    if (!list.length) return html`${head}<p class="quiet line">${t('overview.nothingRuns')}</p>`
    return html`${head}<ul class="jobs">${repeat(list.slice(0, 12), j => j.id, j => this.runningJob(j))}</ul>`
  }

  private runningJob(j: Job) {
    const p = j.progress
    const ran = j.started_at ? f.duration(f.since(j.started_at)) : ''
    return html`<li class="job">
      <a class="job-name" href=${to('jobs', j.id)}><span class="job-id">${j.id}</span>${j.name ?? ''}</a>
      <span class="job-who">${userName(j.user, session.me?.user)}</span>
      <span class="job-state">${p ? meter(p.percent / 100, f.percent(p.percent), t('word.progress'), 'progress') : jobState(j)}</span>
      <span class="job-time right">${ran}</span>
    </li>`
  }

  private next(s: Status) {
    const list = this.queue.value?.items.filter(j => j.position !== null)
    const head = html`<h2 id="overview-next">${t('overview.next')}</h2>`
    if (!list) return html`${head}${loading(2)}`
    if (!list.length)
      return html`${head}<p class="quiet line">${t('overview.queueEmpty')} ${session.may('submit') ? html`<a href=${to('submit')}>${t('overview.queueEmpty.next')}</a>` : nothing}</p>`
    return html`${head}<ol class="jobs">${repeat(list.slice(0, 8), j => j.id, (j, i) => this.waitingJob(j, i ? (list[i - 1]!.reason ?? null) : null))}</ol>
      ${s.queue_length > 8 ? html`<p class="line"><a href=${to('queue')}>${tCount('overview.allOfQueue', s.queue_length)}</a></p>` : nothing}`
  }

  /** WHYABOVE: the reason of the one in front, which need not be said again. */
  private waitingJob(j: Job, whyAbove: string | null) {
    return html`<li class="job job-waiting">
      <a class="job-name" href=${to('jobs', j.id)}><span class="job-id">${j.id}</span>${j.name ?? ''}</a>
      <span class="job-who">${userName(j.user, session.me?.user)}</span>
      <span class="job-position right">#${j.position}</span>
      <span class="job-time right">${f.duration(f.since(j.submitted_at))}</span>
      ${j.reason && j.reason !== whyAbove ? html`<span class="job-why quiet">${f.sentence(j.reason)}</span>` : nothing}
    </li>`
  }

  private lately() {
    const list = this.ended.value?.items
    if (!list?.length) return nothing
    return html`<section aria-labelledby="overview-ended"><h2 id="overview-ended">${t('overview.ended')}</h2>
      <ul class="jobs">${repeat(list, j => j.id, j => this.endedJob(j))}</ul></section>`
  }

  private endedJob(j: Job) {
    return html`<li class="job job-ended">
      <a class="job-name" href=${to('jobs', j.id)}><span class="job-id">${j.id}</span>${j.name ?? ''}</a>
      <span class="job-who">${userName(j.user, session.me?.user)}</span>
      <span>${jobState(j)}</span>
      <span class="job-when quiet" title=${f.exact(j.ended_at)}>${f.ago(j.ended_at)}</span>
      <span class="right" title=${t('word.run')}>${f.duration(j.run_ms)}</span>
      <span class="job-energy right" title=${t('word.energy')}>${j.energy_joules === undefined ? '' : f.energy(j.energy_joules)}</span>
      <span class="right" title=${t('word.cost')}>${j.cost_micros === undefined ? '' : f.money(j.cost_micros, j.currency)}</span>
    </li>`
  }

  private aims(s: Status) {
    const aim = (name: 'start' | 'status' | 'busy' | 'ratio', value: number | null | undefined, shown: string, limit: string, met: boolean) => {
      const known = value !== null && value !== undefined
      const word = known ? (met ? t('aim.met') : t('aim.missed')) : t('aim.none')
      return html`<div class="aim ${known ? (met ? 'aim-met' : 'aim-missed') : 'aim-none'}">
        <dt title=${t(`aim.${name}.note`)}>${t(`aim.${name}`)}</dt>
        <dd><span class="aim-value">${known ? shown : '–'}</span><span class="aim-limit">${t('aim.limit', { limit })}</span><span class="aim-word" title=${word}>${icon(known ? (met ? 'check' : 'alert') : 'dash')}<span class="unseen">${word}</span></span></dd>
      </div>`
    }
    const start = s.submit_to_start_ms?.p50
    const answer = s.status_latency_ms?.p50
    return html`<h2 id="overview-aims">${t('overview.aims')}</h2><dl class="aims">
      ${aim('start', start, f.duration(start), '< ' + f.duration(30_000), (start ?? 0) < 30_000)}
      ${aim('status', answer, f.duration(answer), '< ' + f.duration(100), (answer ?? 0) < 100)}
      ${aim('busy', s.gpu_busy_percent, f.percent(s.gpu_busy_percent), '> ' + f.percent(80), (s.gpu_busy_percent ?? 0) > 80)}
      ${aim('ratio', s.wait_run_ratio, f.number(s.wait_run_ratio, 1) + ' : 1', '< 2 : 1', (s.wait_run_ratio ?? 0) < 2)}
    </dl>`
  }
}

customElements.define('reeve-overview', Overview)
