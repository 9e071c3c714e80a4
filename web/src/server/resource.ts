// An answer of the API that is kept up to date while somebody looks at it: asked again (with its ETag)
// when an event says that it may have changed, at most once in `calm` ms, and every `every` ms.
import type { ReactiveController, ReactiveControllerHost } from 'lit'
import { ask, Problem, type Answer } from './client.ts'
import { live } from './live.ts'
import { session } from './session.ts'
import type { Event } from './types.ts'

interface Options {
  /** Which events may change it. */
  on?: (event: Event) => boolean
  /** Asked again after so many ms in any case; 0: never. */
  every?: number
  /** Not asked more often than this, in ms. */
  calm?: number
}

export class Resource<T> {
  value: T | null = null
  problem: Problem | null = null
  loading = false
  private etag: string | null = null
  private watchers = new Set<() => void>()
  private timer: number | undefined
  private due = Infinity
  private askedAt = 0
  private request: AbortController | null = null
  private again = false
  private offLive: (() => void) | null = null

  constructor(
    private path: string | null,
    private readonly options: Options = {},
  ) {}

  /** Another address: what was known is forgotten, unless KEEP is set (another filter of the same list). */
  setPath(path: string | null, keep = false) {
    if (path === this.path) return
    this.path = path
    this.etag = null
    if (!keep) this.value = null
    this.problem = null
    this.request?.abort()
    this.request = null
    this.askedAt = 0
    if (this.watchers.size) this.soon(0)
  }

  watch(changed: () => void): () => void {
    this.watchers.add(changed)
    if (this.watchers.size === 1) this.begin()
    return () => {
      this.watchers.delete(changed)
      if (!this.watchers.size) this.stop()
    }
  }

  /** Asks now, or right after the request under way. */
  refresh() {
    this.soon(0)
  }

  /** One answer; lists that come in pages load more than one. */
  protected load(path: string, etag: string | null, signal: AbortSignal): Promise<Answer<T>> {
    return ask<T>(path, { etag, signal })
  }

  /** Draws anew whoever looks at it. */
  protected changed() {
    for (const changed of this.watchers) changed()
  }

  private begin() {
    this.offLive = live.on(event => {
      if (event === 'reset' || this.options.on?.(event)) this.soon(this.wait())
    })
    document.addEventListener('visibilitychange', this.shown)
    this.soon(0)
  }

  private stop() {
    this.offLive?.()
    this.offLive = null
    document.removeEventListener('visibilitychange', this.shown)
    clearTimeout(this.timer)
    this.due = Infinity
    this.request?.abort()
    this.request = null
    this.loading = false
  }

  private shown = () => {
    if (document.visibilityState === 'visible') this.soon(this.wait())
  }

  private wait(): number {
    return Math.max(0, this.askedAt + (this.options.calm ?? 300) - performance.now())
  }

  private soon(ms: number) {
    const at = performance.now() + ms
    if (at >= this.due) return
    clearTimeout(this.timer)
    this.due = at
    this.timer = window.setTimeout(() => void this.ask(), ms)
  }

  private async ask() {
    this.due = Infinity
    if (!this.path || !session.token) return
    // A tab that nobody sees asks nothing; `shown` makes up for it.
    if (document.visibilityState === 'hidden' && this.value) return
    if (this.request) {
      this.again = true
      return
    }
    const request = (this.request = new AbortController())
    this.askedAt = performance.now()
    this.loading = true
    try {
      const answer = await this.load(this.path, this.etag, request.signal)
      if (request.signal.aborted) return
      if (answer.value !== undefined) this.value = answer.value
      this.etag = answer.etag
      this.problem = null
    } catch (error) {
      if (request.signal.aborted) return
      this.problem = error instanceof Problem ? error : new Problem(0, '', String(error), '')
    } finally {
      if (this.request === request) {
        this.request = null
        this.loading = false
      }
    }
    this.changed()
    if (this.again) this.soon(this.wait())
    this.again = false
    const every = this.problem ? Math.max(2_000, this.problem.retryAfter * 1_000) : (this.options.every ?? 0)
    if (every && this.watchers.size) this.soon(every)
  }
}

/** Keeps a resource for as long as an element is on the page, and draws the element when it changes. */
export class Watch<T> implements ReactiveController {
  private off: (() => void) | null = null

  constructor(
    private readonly host: ReactiveControllerHost,
    readonly resource: Resource<T>,
  ) {
    host.addController(this)
  }

  get value(): T | null {
    return this.resource.value
  }

  get problem(): Problem | null {
    return this.resource.problem
  }

  hostConnected() {
    this.off = this.resource.watch(() => this.host.requestUpdate())
  }

  hostDisconnected() {
    this.off?.()
    this.off = null
  }
}
