// Lists that come in pages: one that is held whole (the queue), and one that goes on as far as somebody
// scrolls (all jobs, newest first).
import { ask, get, Problem, type Answer } from './client.ts'
import { Resource } from './resource.ts'
import type { Job, Page, Queue } from './types.ts'

const PAGE = 1_000
/** Who waits behind so many is not shown; finding a job of one's own there is what the list of jobs is for. */
export const QUEUE_MOST = 5_000

const with_ = (path: string, query: string) => path + (path.includes('?') ? '&' : '?') + query

/** The queue from its head, page by page, as one answer. */
export class WholeQueue extends Resource<Queue> {
  protected override async load(path: string, etag: string | null, signal: AbortSignal): Promise<Answer<Queue>> {
    const first = await ask<Queue>(with_(path, `limit=${PAGE}`), { etag, signal })
    if (!first.value) return first
    const whole = first.value
    while (whole.next_cursor && whole.items.length < QUEUE_MOST) {
      const next = await get<Queue>(with_(path, `limit=${PAGE}&cursor=${encodeURIComponent(whole.next_cursor)}`), signal)
      whole.items.push(...next.items)
      whole.next_cursor = next.next_cursor
    }
    return first
  }
}

/**
 * Jobs, newest first: the first page is kept up to date, more() loads what is older. What was loaded stays;
 * a page that is asked again replaces the jobs between its ends, so that nothing is twice or left out.
 */
export class Newest extends Resource<Job[]> {
  /** There is more to load. */
  more = false
  loadingMore = false
  problemMore: Problem | null = null
  private next: string | null = null
  private path_ = ''

  constructor(
    path: string,
    private readonly size: number,
    options: ConstructorParameters<typeof Resource<Job[]>>[1],
  ) {
    super(path, options)
    this.path_ = path
  }

  override setPath(path: string, keep = false) {
    if (path === this.path_) return
    this.path_ = path
    this.next = null
    this.more = false
    this.fresh = true
    super.setPath(path, keep)
  }

  /** The first answer of another question replaces all that was there. */
  private fresh = true

  protected override async load(path: string, etag: string | null, signal: AbortSignal): Promise<Answer<Job[]>> {
    const answer = await ask<Page<Job>>(with_(path, `limit=${this.size}`), { etag, signal })
    if (!answer.value) return { etag: answer.etag, headers: answer.headers }
    const { items, next_cursor } = answer.value
    const value = this.fresh ? items : merged(this.value ?? [], items, Infinity, next_cursor === null)
    if (this.fresh || value.length <= items.length) this.goOn(next_cursor)
    this.fresh = false
    await this.loadOpen(path, value, items, signal)
    return { value, etag: answer.etag, headers: answer.headers }
  }

  /** Jobs further down that have not ended change as well. */
  private async loadOpen(path: string, all: Job[], first: Job[], signal: AbortSignal) {
    const bottom = first.at(-1)?.id ?? 0
    const open = all.filter(j => j.id < bottom && !j.ended_at).slice(0, 20)
    for (const job of open) {
      const at = all.indexOf(job)
      const now = await get<Job>(`/api/v1/jobs/${job.id}${fieldsOf(path)}`, signal).catch(error => {
        if (error instanceof Problem && error.status === 404) return null
        throw error
      })
      if (now) all[at] = now
      else all.splice(at, 1)
    }
  }

  private goOn(cursor: string | null) {
    this.next = cursor
    this.more = cursor !== null
  }

  async loadMore() {
    if (!this.more || this.loadingMore || !this.next || !this.value) return
    const path = this.path_
    this.loadingMore = true
    try {
      const page = await get<Page<Job>>(with_(path, `limit=${this.size}&cursor=${encodeURIComponent(this.next)}`))
      if (path !== this.path_) return
      const top = this.value.at(-1)?.id ?? Infinity
      this.value = merged(this.value, page.items, top, page.next_cursor === null)
      this.goOn(page.next_cursor)
      this.problemMore = null
    } catch (error) {
      this.problemMore = error instanceof Problem ? error : new Problem(0, '', String(error), '')
    } finally {
      this.loadingMore = false
    }
    this.changed()
  }
}

const fieldsOf = (path: string) => {
  const fields = new URLSearchParams(path.split('?', 2)[1] ?? '').get('fields')
  return fields ? `?fields=${fields}` : ''
}

/** KNOWN with PAGE in place of what it has below TOP down to the end of PAGE (to the very end: LAST). Ids fall. */
export function merged<T extends { id: number }>(known: T[], page: T[], top: number, last: boolean): T[] {
  const bottom = last ? -Infinity : (page.at(-1)?.id ?? top)
  return [...known.filter(item => item.id >= top), ...page, ...known.filter(item => item.id < bottom)]
}
