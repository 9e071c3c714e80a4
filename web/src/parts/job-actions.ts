// What a person may do with jobs, one or many: asked before what can't be taken back, told afterwards.
import { html, nothing } from 'lit'
import { number } from '../format.ts'
import { change, post, Problem } from '../server/client.ts'
import { session } from '../server/session.ts'
import type { Job } from '../server/types.ts'
import { tCount, t } from '../texts/index.ts'
import { ask, confirm } from './confirm.ts'
import { icon, type IconName } from './icon.ts'
import { said } from './notice.ts'
import { tell, tellProblem } from './toast.ts'

export type JobAction = 'cancel' | 'retry' | 'hold' | 'release' | 'delete'

const pictures: Record<JobAction, IconName> = { cancel: 'cross', retry: 'retry', hold: 'pause', release: 'play', delete: 'trash' }

const isOpen = (j: Job) => !j.ended_at && ['Queued', 'Scheduled', 'Running'].includes(j.state)

function isMine(j: Job): boolean {
  return session.mayAll('jobs_write') || (session.may('jobs_write') && !!j.user && j.user === session.me?.user)
}

export function may(action: JobAction, j: Job): boolean {
  switch (action) {
    case 'cancel':
      return isOpen(j) && isMine(j) && j.reason_code !== 'cancelling'
    case 'retry':
    case 'delete':
      return !isOpen(j) && isMine(j)
    case 'hold':
      return j.state === 'Queued' && !j.held && session.may('operate')
    case 'release':
      return j.state === 'Queued' && !!j.held && session.may('operate')
  }
}

const request: Record<JobAction, (j: Job, body: unknown) => Promise<unknown>> = {
  cancel: j => post(`/api/v1/jobs/${j.id}/cancel`),
  retry: j => post(`/api/v1/jobs/${j.id}/retry`),
  hold: (j, body) => post(`/api/v1/jobs/${j.id}/hold`, body),
  release: j => post(`/api/v1/jobs/${j.id}/release`),
  delete: j => change('DELETE', `/api/v1/jobs/${j.id}`),
}

const AT_ONCE = 4

/** How many went well, and the first failure. */
async function each(jobs: Job[], what: (j: Job) => Promise<unknown>): Promise<[number, Problem | null]> {
  const rest = [...jobs]
  let done = 0
  let problem: Problem | null = null
  const worker = async () => {
    for (let j = rest.shift(); j; j = rest.shift()) {
      try {
        await what(j)
        done++
      } catch (error) {
        problem ??= error instanceof Problem ? error : new Problem(0, '', String(error), '')
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return [done, problem]
}

const nameOf = (j: Job) => (j.name ? `${j.id} (${j.name})` : String(j.id))

async function agreed(action: JobAction, jobs: Job[]): Promise<unknown> {
  const what = jobs.length === 1 ? t('act.one', { job: nameOf(jobs[0]!) }) : tCount('act.many', jobs.length)
  if (action === 'cancel') {
    const running = jobs.some(j => j.state === 'Running')
    return confirm(t('act.cancel.ask', { what }), running ? t('act.cancel.running') : t('act.cancel.waiting'), t('do.cancelJob'))
  }
  if (action === 'delete') return confirm(t('act.delete.ask', { what }), t('act.delete.what'), t('do.delete'))
  if (action === 'hold') {
    const why = await ask(t('act.hold.ask', { what }), t('act.hold.what'), t('act.hold.why'), t('do.hold'))
    return why === null ? false : why ? { why } : {}
  }
  return true
}

/** Does ACTION with those of JOBS where it is possible. False: nothing was done. */
export async function act(action: JobAction, jobs: Job[]): Promise<boolean> {
  const able = jobs.filter(j => may(action, j))
  if (!able.length) return false
  const body = await agreed(action, able)
  if (body === false) return false
  const [done, problem] = await each(able, j => request[action](j, body === true ? {} : body))
  if (!problem) tell(done === 1 ? t(`act.${action}.done`, { id: able[0]!.id }) : tCount(`act.${action}.doneMany`, done))
  else if (able.length === 1) tellProblem(problem)
  else tellProblem(t('act.some', { done, all: able.length, why: said(problem) }))
  return done > 0
}

/** A bar of what can be done with the picked JOBS; NONE: no job shall be picked any more. */
export function pickedTools(jobs: Job[], actions: readonly JobAction[], act: (action: JobAction) => void, none: () => void) {
  if (!jobs.length) return nothing
  const button = (action: JobAction) => {
    const n = jobs.filter(j => may(action, j)).length
    return n ? html`<button class="button" @click=${() => act(action)}>${icon(pictures[action])}${t(`do.${action}`)}${n < jobs.length ? ` (${number(n)})` : ''}</button>` : nothing
  }
  return html`<div class="tools" role="toolbar" aria-label=${tCount('list.picked', jobs.length)}>
    <span class="tools-count" role="status">${tCount('list.picked', jobs.length)}</span>
    ${actions.map(button)}
    <button class="button button-quiet" @click=${none}>${t('list.pickNone')}</button>
  </div>`
}
