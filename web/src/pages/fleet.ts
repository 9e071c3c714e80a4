// Every GPU and node: a map, the nodes (or the chosen one with what an operator can do), a table of the
// GPUs. What is shown and in which order stands in the address.
import { html, nothing } from 'lit'
import * as f from '../format.ts'
import '../parts/device-map.ts'
import { meter } from '../parts/meter.ts'
import { empty, failure, loading } from '../parts/notice.ts'
import { Part, Ticking } from '../parts/part.ts'
import type { Column } from '../parts/rows.ts'
import '../parts/rows.ts'
import { deviceState, nodeState } from '../parts/state.ts'
import { go, setQuery, to, type Place } from '../router.ts'
import { Watch } from '../server/resource.ts'
import { session } from '../server/session.ts'
import { devices, nodeHour, nodes } from '../server/shared.ts'
import type { Device, DeviceState, Node } from '../server/types.ts'
import { t, tCount, tMaybe, type TextKey } from '../texts/index.ts'
import { agent, isolation, lastValue, nodeDetail, skew } from './node.ts'

const STATES: DeviceState[] = ['available', 'allocated', 'busy', 'faulty', 'unknown']
/** More rows than this scroll by themselves. */
const TALL = 40

type Order = 'place' | 'use' | 'memory' | 'power' | 'temperature' | 'state'

const share = (d: Device) => (d.memory_total_mib && d.memory_used_mib != null ? d.memory_used_mib / d.memory_total_mib : -1)

const ranks: Record<Order, (d: Device) => number> = {
  place: () => 0,
  use: d => d.gpu_utilization ?? -1,
  memory: share,
  power: d => d.power_watts ?? -1,
  temperature: d => d.temperature_celsius ?? -1,
  state: d => STATES.indexOf(d.state),
}

const orderNames: Record<Order, TextKey> = {
  place: 'fleet.place',
  state: 'word.state',
  use: 'word.use',
  memory: 'word.memory',
  power: 'word.power',
  temperature: 'word.temperature',
}

/** What a silent node said last is not how its GPUs are now. */
const asKnown = (d: Device): Device => (d.state === 'unknown' ? { ...d, gpu_utilization: null, memory_used_mib: null, power_watts: null, temperature_celsius: null } : d)

class Fleet extends Part {
  static override properties = { place: { attribute: false } }
  declare place: Place

  private devices = new Watch(this, devices)
  private nodes = new Watch(this, nodes)
  private hour = new Watch(this, nodeHour)

  constructor() {
    super()
    new Ticking(this, 5_000)
  }

  private get query() {
    const q = this.place.query
    const sort = q.get('sort') ?? 'place'
    const order = sort.replace(/^-/, '') as Order
    return { node: q.get('node') ?? '', model: q.get('model') ?? '', state: q.get('state') ?? '', order: order in ranks ? order : 'place', down: sort.startsWith('-') }
  }

  private set(change: Record<string, string>) {
    setQuery({ ...Object.fromEntries(this.place.query), ...change })
  }

  /** Large first, then small first, then as they stand. */
  private sortBy(order: Order) {
    const q = this.query
    const sort = order === 'place' ? '' : q.order !== order ? `-${order}` : q.down ? order : ''
    this.set({ sort })
  }

  private chosen(all: Device[]): Device[] {
    const q = this.query
    const list = all.filter(d => (!q.node || d.node === q.node) && (!q.model || d.model === q.model) && (!q.state || d.state === q.state)).map(asKnown)
    const rank = ranks[q.order]
    const way = q.down ? -1 : 1
    return list.sort((a, b) => (rank(a) - rank(b)) * way || a.node.localeCompare(b.node, undefined, { numeric: true }) || a.index - b.index)
  }

  override render() {
    const all = this.devices.value?.items
    const known = this.nodes.value?.items
    const problem = this.devices.problem ?? this.nodes.problem
    if (!all || !known) return html`<h1>${t('fleet.title')}</h1>${problem ? failure(problem, () => devices.refresh()) : loading(6)}`
    const q = this.query
    const node = known.find(n => n.name === q.node)
    const list = this.chosen(all)
    const used = all.filter(d => d.state === 'allocated' || d.state === 'busy').length
    return html`<div class="page-head"><h1>${t('fleet.title')}</h1>
        <p class="quiet">${[tCount('fleet.gpuCount', all.length), tCount('fleet.nodeCount', known.length), t('fleet.inUse', { n: f.number(used) }), list.length === all.length ? '' : t('fleet.shown', { n: f.number(list.length), all: f.number(all.length) })].filter(Boolean).join(' · ')}</p></div>
      ${all.length ? this.filters(all, known) : nothing}
      ${node ? nodeDetail(node, this.hour.value) : nothing}
      ${this.map(all, list)}
      ${node || !known.length ? nothing : this.nodeRows(known)}
      ${list.length ? this.deviceRows(list) : nothing}`
  }

  private filters(all: Device[], known: Node[]) {
    const q = this.query
    const models = [...new Set(all.map(d => d.model ?? ''))].filter(Boolean).sort()
    const pick = (id: string, label: string, now: string, choices: [value: string, text: string][]) =>
      html`<label class="filter"><span>${label}</span><select id="fleet-${id}" @change=${(e: Event) => this.set({ [id]: (e.target as HTMLSelectElement).value })}>
        <option value="" ?selected=${!now}>${t('word.all')}</option>
        ${choices.map(([value, text]) => html`<option value=${value} ?selected=${value === now}>${text}</option>`)}
      </select></label>`
    return html`<div class="filters">
      ${pick('node', t('word.node'), q.node, known.map(n => [n.name, n.name]))}
      ${models.length > 1 || q.model ? pick('model', t('word.model'), q.model, models.map(m => [m, f.model(m)])) : nothing}
      ${pick('state', t('word.state'), q.state, STATES.map(s => [s, tMaybe('device.' + s, s)]))}
      <label class="filter filter-sort"><span>${t('fleet.sortBy')}</span><select id="fleet-sort" @change=${(e: Event) => this.sortBy((e.target as HTMLSelectElement).value as Order)}>
        ${(Object.keys(ranks) as Order[]).map(o => html`<option value=${o} ?selected=${o === q.order}>${t(orderNames[o])}</option>`)}
      </select></label>
    </div>`
  }

  private map(all: Device[], list: Device[]) {
    if (!all.length) return empty(t('fleet.empty'), session.may('admin') ? html`<a href=${to('people', 'nodes')}>${t('fleet.empty.next')}</a>` : nothing)
    if (!list.length) return empty(t('fleet.nothing'), html`<a href=${to('fleet')}>${t('fleet.nothing.next')}</a>`)
    const placed = [...list].sort((a, b) => a.node.localeCompare(b.node, undefined, { numeric: true }) || a.index - b.index)
    return html`<reeve-device-map .devices=${placed}></reeve-device-map>`
  }

  private nodeRows(known: Node[]) {
    const rows = new Map((this.hour.value?.items ?? []).map(row => [row.id, row]))
    const percent = (v: number | null, name: string) => meter(v === null ? null : v / 100, f.percent(v), name)
    // A user sees no figures of nodes.
    const measured: Column<Node>[] = rows.size
      ? [
          { head: t('word.cpu'), width: 'minmax(7rem, 1fr)', from: 'm', phone: false, cell: n => percent(lastValue(rows.get(n.name)?.cpu_usage), t('word.cpu')) },
          { head: t('word.memory'), width: 'minmax(7rem, 1fr)', from: 'm', phone: false, cell: n => percent(lastValue(rows.get(n.name)?.memory_usage), t('word.memory')) },
        ]
      : []
    const held = (n: Node) => n.devices.filter(d => d.state === 'allocated' || d.state === 'busy').length
    const columns: Column<Node>[] = [
      { head: t('word.node'), width: 'minmax(8rem, 1.4fr)', cell: n => html`<a class="strong" href=${to('fleet', null, { node: n.name })}>${n.name}</a>` },
      { head: t('word.state'), width: 'minmax(6.5rem, 1fr)', cell: n => nodeState(n) },
      { head: t('word.gpus'), width: '4.5rem', right: true, second: true, cell: n => html`${f.number(held(n))} / ${f.number(n.devices.length)}` },
      ...measured,
      { head: t('fleet.connection'), width: 'minmax(6rem, .9fr)', second: true, cell: n => html`<span title=${f.exact(n.last_report_at)}>${n.connected ? t('fleet.connected') : f.ago(n.last_report_at)}</span>` },
      { head: t('fleet.since'), width: 'minmax(6.5rem, .9fr)', from: 'l', phone: false, cell: n => html`<span title=${f.exact(n.since)}>${f.moment(n.since)}</span>` },
      { head: t('fleet.isolation'), width: 'minmax(7rem, 1fr)', from: 'l', phone: false, cell: n => isolation(n) },
      { head: t('fleet.skew'), width: 'minmax(5rem, .7fr)', from: 'l', phone: false, cell: n => skew(n) },
      { head: t('fleet.agent'), width: '4.5rem', from: 'm', phone: false, right: true, cell: n => agent(n) },
    ]
    return html`<section aria-labelledby="fleet-nodes"><h2 id="fleet-nodes">${t('fleet.nodes')}</h2>
      <reeve-rows class=${known.length > 8 ? 'rows-short' : ''} .fill=${known.length > 8} .items=${known} .columns=${columns} .keyOf=${(n: Node) => n.name}
        .open=${(n: Node) => go(to('fleet', null, { node: n.name }))} .label=${t('fleet.nodes')}></reeve-rows></section>`
  }

  private deviceRows(list: Device[]) {
    const q = this.query
    const by = (order: Order) => ({ sort: () => this.sortBy(order), sorted: q.order === order && order !== 'place' ? (q.down ? ('descending' as const) : ('ascending' as const)) : undefined })
    const columns: Column<Device>[] = [
      { head: t('word.gpu'), width: 'minmax(8rem, 1.2fr)', ...by('place'), cell: d => html`<a class="strong" href=${to('fleet', d.id)}>${d.node} <span class="quiet">·</span> GPU ${d.index}</a>` },
      { head: t('word.model'), width: 'minmax(7rem, 1.1fr)', from: 'm', phone: false, cell: d => html`<span class="quiet" title=${d.model ?? ''}>${f.model(d.model)}</span>` },
      { head: t('word.state'), width: 'minmax(6.5rem, .9fr)', ...by('state'), cell: d => deviceState(d) },
      { head: t('word.job'), width: 'minmax(6rem, 1fr)', second: true, cell: d => (d.job ? html`<a href=${to('jobs', d.job.id)}>${d.job.id}</a> <span class="quiet">${d.job.user ?? ''}</span>` : '') },
      { head: t('word.use'), width: 'minmax(6.5rem, 1fr)', ...by('use'), second: true, cell: d => meter(d.gpu_utilization == null ? null : d.gpu_utilization / 100, f.percent(d.gpu_utilization), t('word.use')) },
      { head: t('word.memory'), width: 'minmax(11rem, 1.5fr)', ...by('memory'), from: 'm', phone: false, cell: d => meter(share(d) < 0 ? null : share(d), `${f.mebibytes(d.memory_used_mib)} / ${f.mebibytes(d.memory_total_mib)}`, t('word.memory'), 'memory') },
      { head: t('word.power'), width: '4.5rem', right: true, ...by('power'), second: true, cell: d => f.watts(d.power_watts) },
      { head: t('word.temperature'), width: '6.5rem', right: true, ...by('temperature'), from: 'm', phone: false, cell: d => f.celsius(d.temperature_celsius) },
    ]
    const tall = list.length > TALL
    return html`<section aria-labelledby="fleet-devices"><h2 id="fleet-devices">${t(q.node || q.model || q.state ? 'fleet.title' : 'fleet.devices')}</h2>
      <reeve-rows class=${tall ? 'rows-tall' : ''} .fill=${tall} .items=${list} .columns=${columns} .keyOf=${(d: Device) => d.id}
        .open=${(d: Device) => go(to('fleet', d.id))} .label=${t('fleet.devices')}></reeve-rows></section>`
  }
}

customElements.define('reeve-fleet', Fleet)
