// Who runs and who waits, in live order: why each waits, when it may start, and what can be done about it.
import { html, nothing } from 'lit'
import * as f from '../format.ts'
import { act, pickedTools, type JobAction } from '../parts/job-actions.ts'
import { expected, jobName, names, needs, where, whyInShort } from '../parts/job-cells.ts'
import '../parts/job-filter.ts'
import { meter } from '../parts/meter.ts'
import { empty, failure, loading } from '../parts/notice.ts'
import { Part, Ticking } from '../parts/part.ts'
import '../parts/rows.ts'
import type { Column } from '../parts/rows.ts'
import { jobState, userName } from '../parts/state.ts'
import { go, to } from '../router.ts'
import { QUEUE_MOST, WholeQueue } from '../server/lists.ts'
import { Watch } from '../server/resource.ts'
import { session } from '../server/session.ts'
import type { Job } from '../server/types.ts'
import { t } from '../texts/index.ts'

const FIELDS =
  'id,name,user,team,state,position,held,reason,reason_code,submitted_at,started_at,ended_at,wait_ms,progress,node,devices,gpus,gpu_memory,cpu,expected_start_at,expected_order,expected_basis'

const queue = new WholeQueue(`/api/v1/queue?fields=${FIELDS}`, { on: e => /^(job|attempt)\./.test(e.kind), every: 3_000, calm: 1_000 })

const runs = (j: Job) => j.state !== 'Queued'

const stateOf = (j: Job) => (runs(j) ? 'running' : j.held ? 'held' : 'waiting')

class QueuePage extends Part {
  static override properties = { query: { attribute: false }, picked: { state: true } }
  declare query: URLSearchParams
  declare picked: Set<string | number>
  private queue = new Watch(this, queue)

  constructor() {
    super()
    this.query = new URLSearchParams()
    this.picked = new Set()
    new Ticking(this, 1_000)
  }

  private get shown(): Job[] {
    const get = (name: string) => this.query.get(name) ?? ''
    const [q, user, team, state] = [get('q').toLowerCase(), get('user'), get('team'), get('state')]
    return (this.queue.value?.items ?? []).filter(
      j =>
        (!user || j.user === user) &&
        (!team || j.team === team) &&
        (!state || stateOf(j) === state) &&
        (!q || `${j.id} ${j.name ?? ''} ${j.user ?? ''}`.toLowerCase().includes(q)),
    )
  }

  override willUpdate() {
    // What has left the queue is picked no more.
    const there = new Set(this.queue.value?.items.map(j => j.id))
    if ([...this.picked].some(id => !there.has(id as number))) this.picked = new Set([...this.picked].filter(id => there.has(id as number)))
  }

  override render() {
    const { value, problem } = this.queue
    const items = value?.items ?? []
    return html`<div class="list-head">
        <h1>${t('queue.title')}</h1>
        <p class="quiet">${value ? t('queue.count', { n: f.number(value.queue_length), running: f.number(value.running) }) : ''}</p>
      </div>
      <reeve-job-filter .query=${this.query} .users=${names(items.map(j => j.user))} .teams=${names(items.map(j => j.team))}
        .states=${(['waiting', 'held', 'running'] as const).map(value => ({ value, text: t(`queue.state.${value}`) }))}></reeve-job-filter>
      ${this.tools()}
      ${problem && value ? failure(problem) : nothing}
      ${value ? this.rows(this.shown) : problem ? failure(problem, () => queue.refresh()) : loading(8)}
      ${value?.next_cursor ? html`<p class="quiet line">${t('queue.cut', { n: f.number(QUEUE_MOST) })} <a href=${to('jobs', null, { state: 'Queued' })}>${t('queue.cut.all')}</a></p>` : nothing}`
  }

  private rows(items: Job[]) {
    if (!this.queue.value!.items.length)
      return empty(
        t('queue.empty'),
        html`${session.may('submit') ? html`<a href=${to('submit')}>${t('queue.empty.submit')}</a> · ` : nothing}<a href=${to('jobs')}>${t('queue.empty.history')}</a>`,
      )
    if (!items.length) return empty(t('queue.noMatch'))
    return html`<reeve-rows class="list-rows" fill .items=${items} .columns=${this.columns} .keyOf=${(j: Job) => j.id} .label=${t('queue.title')}
      .open=${(j: Job) => go(to('jobs', j.id))} .mark=${(j: Job) => (runs(j) ? 'row-runs' : j.held ? 'row-held' : '')}
      .picked=${session.may('jobs_write') || session.may('operate') ? this.picked : undefined} .onPick=${(picked: Set<string | number>) => (this.picked = picked)}></reeve-rows>`
  }

  private columns: Column<Job>[] = [
    { head: t('queue.place'), width: '3.2rem', right: true, cell: j => (runs(j) ? html`<span class="quiet">–</span>` : f.number(j.position)) },
    { head: t('word.job'), width: 'minmax(9rem, 1.6fr)', cell: jobName },
    { head: t('word.user'), width: 'minmax(5rem, 0.7fr)', cell: j => userName(j.user, session.me?.user), second: true },
    { head: t('word.team'), width: 'minmax(4rem, 0.4fr)', from: 'l', phone: false, cell: j => j.team ?? '' },
    {
      head: t('word.state'),
      width: 'minmax(7.2rem, 0.7fr)',
      cell: j => (j.state === 'Running' && j.progress ? meter(j.progress.percent / 100, f.percent(j.progress.percent), t('word.progress'), 'progress') : jobState(j)),
    },
    {
      head: t('queue.why'),
      width: 'minmax(9rem, 2.4fr)',
      second: true,
      cell: j => (runs(j) ? (j.state === 'Scheduled' && !j.node ? t('queue.starting') : where(j)) : html`<span title=${f.sentence(j.reason)}>${whyInShort(j)}</span>`),
    },
    { head: t('queue.needs'), width: '8.6rem', from: 'l', phone: false, cell: j => html`<span class="quiet">${needs(j)}</span>` },
    { head: t('queue.order'), width: '3.4rem', from: 'l', phone: false, right: true, cell: j => html`<span class="quiet">${f.number(j.expected_order)}</span>` },
    { head: t('queue.start'), width: '6.4rem', from: 'm', phone: false, right: true, cell: expected },
    { head: t('queue.time'), width: '6rem', right: true, cell: j => f.duration(f.since(runs(j) ? (j.started_at ?? j.submitted_at) : j.submitted_at)) },
  ]

  private tools() {
    const jobs = (this.queue.value?.items ?? []).filter(j => this.picked.has(j.id))
    return pickedTools(jobs, ['cancel', 'hold', 'release'], action => void this.act(action, jobs), () => (this.picked = new Set()))
  }

  private async act(action: JobAction, jobs: Job[]) {
    if (await act(action, jobs)) {
      this.picked = new Set()
      queue.refresh()
    }
  }
}

customElements.define('reeve-queue', QueuePage)
