// Every job there was, newest first, as far as one scrolls.
import { html, nothing } from 'lit'
import * as f from '../format.ts'
import { icon } from '../parts/icon.ts'
import { act, pickedTools, type JobAction } from '../parts/job-actions.ts'
import { jobName, names, whyInShort } from '../parts/job-cells.ts'
import '../parts/job-filter.ts'
import { meter } from '../parts/meter.ts'
import { empty, failure, loading } from '../parts/notice.ts'
import { Part, Ticking } from '../parts/part.ts'
import '../parts/rows.ts'
import type { Column } from '../parts/rows.ts'
import { jobState, userName } from '../parts/state.ts'
import { go, to } from '../router.ts'
import { url } from '../server/client.ts'
import { Newest } from '../server/lists.ts'
import { Watch } from '../server/resource.ts'
import { session } from '../server/session.ts'
import type { Job } from '../server/types.ts'
import { t, tMaybe } from '../texts/index.ts'

const PAGE = 100
const FIELDS =
  'id,name,user,team,state,held,reason,reason_code,submitted_at,started_at,ended_at,wait_ms,run_ms,progress,exit_code,gpus,energy_joules,cost_micros,currency'
const STATES = ['Queued', 'Scheduled', 'Running', 'Completed', 'Failed', 'Cancelled'] as const

const address = (query: URLSearchParams) => {
  const get = (name: string) => query.get(name)
  return url('/api/v1/jobs', { fields: FIELDS, q: get('q'), user: get('user'), team: get('team'), state: get('state'), label: get('label') })
}

const list = new Newest(address(new URLSearchParams()), PAGE, { on: e => /^(job|attempt)\./.test(e.kind), every: 5_000, calm: 1_000 })

/** In what it ended, in a few words. */
function result(j: Job) {
  if (!j.ended_at) return html`<span title=${f.sentence(j.reason)}>${whyInShort(j)}</span>`
  if (j.state === 'Completed') return html``
  const word = tMaybe('outcome.' + j.reason_code, '')
  return html`<span title=${f.sentence(j.reason)}>${word || j.reason || ''}${j.reason_code === 'failed' && j.exit_code != null ? ` ${j.exit_code}` : ''}</span>`
}

class JobsPage extends Part {
  static override properties = { query: { attribute: false }, picked: { state: true } }
  declare query: URLSearchParams
  declare picked: Set<string | number>
  private jobs = new Watch(this, list)

  constructor() {
    super()
    this.query = new URLSearchParams()
    this.picked = new Set()
    new Ticking(this, 1_000)
  }

  override willUpdate(changed: Map<PropertyKey, unknown>) {
    if (!changed.has('query')) return
    list.setPath(address(this.query), true)
    const before = changed.get('query') as URLSearchParams | undefined
    if (before && before.toString() !== this.query.toString()) this.picked = new Set()
  }

  override render() {
    const items = this.jobs.value
    const problem = this.jobs.problem
    return html`<div class="list-head"><h1>${t('jobs.title')}</h1></div>
      <reeve-job-filter labels .query=${this.query} .users=${names((items ?? []).map(j => j.user))} .teams=${names((items ?? []).map(j => j.team))}
        .states=${[...STATES.map(value => ({ value: value as string, text: t(`state.${value}`) }))]}></reeve-job-filter>
      ${this.tools(items ?? [])}
      ${problem ? (problem.status === 400 ? html`<p class="failure" role="alert">${icon('alert')}<span>${t('filter.invalid', { why: problem.detail })}</span></p>` : failure(problem, () => list.refresh())) : nothing}
      ${items ? this.rows(items) : problem ? nothing : loading(8)}`
  }

  private rows(items: Job[]) {
    const filtered = ['q', 'user', 'team', 'state', 'label'].some(name => this.query.get(name))
    if (!items.length && list.more) {
      void list.loadMore()
      return loading(4)
    }
    if (!items.length)
      return filtered ? empty(t('jobs.noMatch')) : empty(t('jobs.empty'), session.may('submit') ? html`<a href=${to('submit')}>${t('queue.empty.submit')}</a>` : nothing)
    return html`<reeve-rows class="list-rows" fill .items=${items} .columns=${this.columns} .keyOf=${(j: Job) => j.id} .label=${t('jobs.title')}
        .open=${(j: Job) => go(to('jobs', j.id))} .onEnd=${() => void list.loadMore()}
        .picked=${session.may('jobs_write') ? this.picked : undefined} .onPick=${(picked: Set<string | number>) => (this.picked = picked)}></reeve-rows>
      ${list.problemMore ? failure(list.problemMore, () => void list.loadMore()) : nothing}
      <p class="list-foot quiet" role="status">${list.loadingMore ? t('jobs.loadingMore') : list.more ? '' : t('jobs.all')}</p>`
  }

  private columns: Column<Job>[] = [
    { head: t('word.job'), width: 'minmax(10rem, 1.6fr)', cell: jobName },
    { head: t('word.user'), width: 'minmax(5rem, 0.8fr)', cell: j => userName(j.user, session.me?.user), second: true },
    { head: t('word.team'), width: 'minmax(4rem, 0.6fr)', from: 'l', phone: false, cell: j => j.team ?? '' },
    {
      head: t('word.state'),
      width: 'minmax(7.4rem, 0.8fr)',
      cell: j => (j.state === 'Running' && j.progress ? meter(j.progress.percent / 100, f.percent(j.progress.percent), t('word.progress'), 'progress') : jobState(j)),
    },
    { head: t('jobs.result'), width: 'minmax(7rem, 1.6fr)', from: 'm', phone: false, cell: result },
    { head: t('word.submitted'), width: '7.4rem', from: 'm', phone: false, right: true, cell: j => html`<span title=${f.exact(j.submitted_at)}>${f.moment(j.submitted_at)}</span>` },
    { head: t('word.wait'), width: '5.6rem', right: true, second: true, cell: j => f.duration(j.started_at || j.ended_at ? j.wait_ms : f.since(j.submitted_at)) },
    { head: t('word.run'), width: '5.6rem', right: true, cell: j => f.duration(j.state === 'Running' ? f.since(j.started_at) : j.run_ms) },
    { head: t('word.energy'), width: '5.4rem', from: 'l', phone: false, right: true, cell: j => f.energy(j.started_at ? j.energy_joules : null) },
    { head: t('word.cost'), width: '7.6rem', from: 'm', phone: false, right: true, cell: j => f.money(j.started_at ? j.cost_micros : null, j.currency) },
  ]

  private tools(items: Job[]) {
    const jobs = items.filter(j => this.picked.has(j.id))
    return pickedTools(jobs, ['retry', 'cancel', 'delete'], action => void this.act(action, jobs), () => (this.picked = new Set()))
  }

  private async act(action: JobAction, jobs: Job[]) {
    if (await act(action, jobs)) {
      this.picked = new Set()
      list.refresh()
    }
  }
}

customElements.define('reeve-jobs', JobsPage)
