// One GPU: its figures now and over the last hour, who holds it, where the time of today went.
import { html, nothing } from 'lit'
import * as f from '../format.ts'
import '../parts/chart.ts'
import { copyButton } from '../parts/copy.ts'
import { icon } from '../parts/icon.ts'
import { empty, failure, loading } from '../parts/notice.ts'
import { Part, Ticking } from '../parts/part.ts'
import { deviceState, userName } from '../parts/state.ts'
import { styles } from '../parts/styles.ts'
import { to, type Place } from '../router.ts'
import { url } from '../server/client.ts'
import { Resource, Watch } from '../server/resource.ts'
import { session } from '../server/session.ts'
import { running } from '../server/shared.ts'
import type { Device, DeviceTime, SampleRow, Samples } from '../server/types.ts'
import { t, type TextKey } from '../texts/index.ts'

const PARTS = ['jobs', 'reserved', 'foreign', 'idle', 'maintenance', 'faulty', 'unmeasured', 'system'] as const

class DevicePage extends Part {
  static override properties = { place: { attribute: false } }
  declare place: Place

  private device = new Watch(this, new Resource<Device>(null, { on: e => /^(device|node|attempt)\./.test(e.kind), every: 2_500, calm: 500 }))
  private hour = new Watch(this, new Resource<Samples>(null, { every: 15_000 }))
  private running = new Watch(this, running)

  constructor() {
    super()
    new Ticking(this, 1_000)
  }

  override willUpdate() {
    const id = /^\d+$/.test(this.place.id ?? '') ? this.place.id! : null
    this.device.resource.setPath(id && `/api/v1/devices/${id}`)
    this.hour.resource.setPath(id && url('/api/v1/samples', { of: 'devices', since: '1h', step: '60s', id }))
  }

  override render() {
    const back = html`<p class="crumb"><a href=${to('fleet')}>${icon('back')}${t('device.back')}</a></p>`
    const d = this.device.value
    const problem = this.device.problem
    if (!d) return html`${back}${problem?.status === 404 ? empty(t('device.gone'), html`<a href=${to('fleet')}>${t('device.back')}</a>`) : problem ? failure(problem, () => this.device.resource.refresh()) : loading(6)}`
    document.title = `${d.node} GPU ${d.index} · Reeve`
    return html`${back}
      <div class="page-head"><h1>GPU ${d.index} <span class="quiet">${f.model(d.model)}</span></h1>${deviceState(d)}
        <a class="quiet" href=${to('fleet', null, { node: d.node })}>${t('word.node')} ${d.node}</a></div>
      ${d.state === 'faulty' ? html`<div class="banner banner-bad" role="alert">${icon('alert')}<span>${d.health ?? ''}</span></div>` : nothing}
      ${this.figures(d)}
      <div class="columns">
        <section class="column-wide" aria-labelledby="device-hour"><h2 id="device-hour">${t('device.hour')}</h2>${this.charts(d)}</section>
        <div class="column">
          <section aria-labelledby="device-holds"><h2 id="device-holds">${t('device.holds')}</h2>${this.holder(d)}</section>
          <section aria-labelledby="device-today"><h2 id="device-today">${t('device.today')}</h2>${today(d.time)}</section>
          <section aria-labelledby="device-facts"><h2 id="device-facts">${t('device.facts')}</h2>${facts(d)}</section>
        </div>
      </div>`
  }

  private figures(d: Device) {
    const figure = (label: string, value: string, note = '') => html`<div class="figure"><dt>${label}</dt><dd><span class="figure-value">${value}</span><span class="figure-note">${note}</span></dd></div>`
    return html`<dl class="figures">
      ${figure(t('word.use'), f.percent(d.gpu_utilization))}
      ${figure(t('word.memory'), f.mebibytes(d.memory_used_mib), t('overview.ofTotal', { n: f.mebibytes(d.memory_total_mib) }))}
      ${figure(t('word.power'), f.watts(d.power_watts))}
      ${figure(t('word.temperature'), f.celsius(d.temperature_celsius))}
    </dl>`
  }

  private charts(d: Device) {
    const hour = this.hour.value
    const row: SampleRow | undefined = hour?.items[0]
    if (!hour && !this.hour.problem) return loading(4)
    if (!hour || !row) return html`<p class="quiet line">${t('device.noHour')}</p>`
    const one = (name: string, values: (number | null)[] | undefined, color: string, unit: (v: number | null) => string, max: number | null) =>
      values ? html`<reeve-chart .label=${name} .series=${[{ name, values, color }]} .start=${hour.start} .stepMs=${hour.step_ms} .unit=${unit} .max=${max} sync="device"></reeve-chart>` : nothing
    return html`<div class="chart-pair">
      ${one(t('word.use'), row.gpu_utilization, '--use', f.percent, 100)}
      ${one(t('word.memory'), row.memory_used_mib, '--memory', f.mebibytes, d.memory_total_mib ?? null)}
      ${one(t('word.power'), row.power_watts, '--wait', f.watts, null)}
      ${one(t('word.temperature'), row.temperature_celsius, '--bad', f.celsius, null)}
    </div>`
  }

  private holder(d: Device) {
    if (d.job) {
      const job = this.running.value?.items.find(j => j.id === d.job!.id)
      return html`<p class="holder"><a href=${to('jobs', d.job.id)}><span class="job-id">${d.job.id}</span>${job?.name ?? t('word.job')}</a>
        <span>${userName(d.job.user, session.me?.user)}</span>
        ${job?.started_at ? html`<span class="quiet right">${f.duration(f.since(job.started_at))}</span>` : nothing}</p>`
    }
    const why: Record<string, TextKey> = { busy: 'device.holds.others', faulty: 'device.holds.faulty', unknown: 'device.holds.unknown' }
    return html`<p class="quiet">${t(why[d.state] ?? 'device.holds.nobody')}</p>`
  }
}

/** Shares of the whole as one bar; what they are and how long below it. */
function today(time: DeviceTime | undefined) {
  if (!time?.total_us) return html`<p class="quiet">${t('device.today.none')}</p>`
  const parts = PARTS.map(name => ({ name, us: time[`${name}_us`] ?? 0 })).filter(p => p.us > 0)
  const share = (us: number) => f.percent((us / time.total_us) * 100, 1)
  return html`<div class="time-bar" aria-hidden="true">
      ${parts.map(p => html`<span class="time-${p.name}" ${styles({ 'flex-grow': String(p.us / time.total_us) })}></span>`)}
    </div>
    <dl class="time-parts">
      ${parts.map(p => html`<div><dt><span class="time-swatch time-${p.name}" aria-hidden="true"></span>${t(`time.${p.name}`)}</dt><dd>${f.duration(Math.round(p.us / 1_000))}</dd><dd>${share(p.us)}</dd></div>`)}
      <div class="time-total"><dt>${t('word.all')}</dt><dd>${f.duration(Math.round(time.total_us / 1_000))}</dd><dd>${f.percent(100, 1)}</dd></div>
    </dl>`
}

function facts(d: Device) {
  const fact = (name: string, value: unknown) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`
  return html`<dl class="facts facts-list">
    ${fact(t('device.health'), d.health === 'ok' ? t('device.health.ok') : (d.health ?? '–'))}
    ${fact(t('word.model'), d.model ?? '–')}
    ${fact(t('device.vendor'), d.vendor ?? '–')}
    ${fact(t('word.node'), html`<a href=${to('fleet', null, { node: d.node })}>${d.node}</a>`)}
    ${fact(t('device.index'), f.number(d.index))}
    ${d.uuid ? fact(t('device.uuid'), html`<code>${d.uuid}</code> ${copyButton(d.uuid)}`) : nothing}
  </dl>`
}

customElements.define('reeve-device', DevicePage)
