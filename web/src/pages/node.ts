// One node on the page of the GPUs: what is known of it, its last hour, what an operator can do with it.
import { html, nothing } from 'lit'
import * as f from '../format.ts'
import '../parts/chart.ts'
import { confirm } from '../parts/confirm.ts'
import { nodeState } from '../parts/state.ts'
import { attempt } from '../parts/toast.ts'
import { go, to } from '../router.ts'
import { change, post } from '../server/client.ts'
import { session } from '../server/session.ts'
import { devices, nodes } from '../server/shared.ts'
import type { Node, SampleRow, Samples } from '../server/types.ts'
import { t, tMaybe } from '../texts/index.ts'

/** A clock may be off by so much without a word. */
const IN_STEP_MS = 100

export const lastValue = (values: (number | null)[] | undefined) => values?.filter(v => v !== null).pop() ?? null

export const agent = (n: Node) => n.version ?? '–'

export const isolation = (n: Node) => (n.isolation ? tMaybe('fleet.isolation.' + n.isolation, n.isolation) : '–')

export function skew(n: Node): string {
  const ms = n.skew_ms
  if (ms === null || ms === undefined) return '–'
  if (Math.abs(ms) < IN_STEP_MS) return t('fleet.skew.none')
  return t(ms > 0 ? 'fleet.skew.ahead' : 'fleet.skew.behind', { time: f.duration(Math.abs(ms)) })
}

async function declareLost(n: Node) {
  const yes = await confirm(t('node.lost.ask', { node: n.name }), t('node.lost.what', { time: f.moment(n.since) }), t('node.lost.do'))
  if (!yes) return
  await attempt(() => post(`/api/v1/nodes/${encodeURIComponent(n.name)}/lost`), t('node.lost.done', { node: n.name }))
  nodes.refresh()
  devices.refresh()
}

async function retire(n: Node) {
  const yes = await confirm(t('node.retire.ask', { node: n.name }), t('node.retire.what', { n: n.devices.length }), t('node.retire.do'))
  if (!yes) return
  const done = await attempt(() => change('DELETE', `/api/v1/nodes/${encodeURIComponent(n.name)}`), t('node.retire.done', { node: n.name }))
  nodes.refresh()
  devices.refresh()
  if (done) go(to('fleet'))
}

export function nodeDetail(n: Node, hour: Samples | null) {
  const row = hour?.items.find(item => item.id === n.name)
  const fact = (name: string, value: unknown) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`
  return html`<section class="node-detail" aria-labelledby="node-title">
    <div class="section-head"><h2 id="node-title">${n.name}</h2>${nodeState(n)}
      <span class="section-space"></span>
      ${n.state === 'unknown' && session.may('operate') ? html`<button class="button button-bad" @click=${() => declareLost(n)}>${t('node.lost.do')}</button>` : nothing}
      ${session.may('admin') ? html`<button class="button" @click=${() => retire(n)}>${t('node.retire.do')}</button>` : nothing}
    </div>
    <dl class="facts">
      ${fact(t('fleet.since'), html`<span title=${f.exact(n.since)}>${f.moment(n.since)}</span>`)}
      ${fact(t('fleet.lastReport'), html`<span title=${f.exact(n.last_report_at)}>${f.ago(n.last_report_at)}</span>${n.state === 'ready' && n.connected === false ? html` <span class="warn">${t('fleet.notConnected')}</span>` : nothing}`)}
      ${fact(t('word.cpu'), n.cpu == null ? '–' : t('fleet.cores', { n: f.number(n.cpu) }))}
      ${fact(t('word.memory'), f.mebibytes(n.memory))}
      ${fact(t('fleet.isolation'), isolation(n))}
      ${fact(t('fleet.skew'), skew(n))}
      ${fact(t('fleet.agent'), agent(n))}
    </dl>
    ${row && hour ? charts(row, hour) : nothing}
  </section>`
}

function charts(row: SampleRow, hour: Samples) {
  const one = (name: string, values: (number | null)[] | undefined, color: string) =>
    values ? html`<reeve-chart .label=${t('fleet.hourOf', { what: name })} .series=${[{ name, values, color }]} .start=${hour.start} .stepMs=${hour.step_ms} .unit=${f.percent} .max=${100} sync="node"></reeve-chart>` : nothing
  return html`<div class="chart-pair">${one(t('word.cpu'), row.cpu_usage, '--use')} ${one(t('word.memory'), row.memory_usage, '--memory')}</div>`
}
