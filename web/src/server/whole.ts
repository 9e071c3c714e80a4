// A list that is wanted whole, however many pages it has: asked for again when an event says that it may
// have changed.
import type { ReactiveController, ReactiveControllerHost } from 'lit'
import { get, Problem, url } from './client.ts'
import { live } from './live.ts'
import { session } from './session.ts'
import type { Event, Page } from './types.ts'

const PAGE = 1_000
const MOST = 50_000
const CALM_MS = 400

export class Whole<T> implements ReactiveController {
  items: T[] | null = null
  problem: Problem | null = null
  private off: (() => void) | null = null
  private timer: number | undefined
  private request: AbortController | null = null

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly path: string,
    private readonly on: (event: Event) => boolean,
    private readonly permission: string,
  ) {
    host.addController(this)
  }

  hostConnected() {
    if (!session.may(this.permission)) return
    this.off = live.on(event => (event === 'reset' || this.on(event)) && this.soon(CALM_MS))
    this.soon(0)
  }

  hostDisconnected() {
    this.off?.()
    clearTimeout(this.timer)
    this.request?.abort()
  }

  refresh() {
    this.soon(0)
  }

  private soon(ms: number) {
    clearTimeout(this.timer)
    this.timer = window.setTimeout(() => void this.ask(), ms)
  }

  private async ask() {
    this.request?.abort()
    const request = (this.request = new AbortController())
    const items: T[] = []
    try {
      let cursor: string | null = null
      do {
        const page: Page<T> = await get<Page<T>>(url(this.path, { limit: PAGE, cursor }), request.signal)
        items.push(...page.items)
        cursor = page.next_cursor
      } while (cursor && items.length < MOST)
      this.items = items
      this.problem = null
    } catch (error) {
      if (request.signal.aborted) return
      this.problem = error instanceof Problem ? error : new Problem(0, '', String(error), '')
      if (this.problem.unreachable) this.soon(2_000)
    }
    this.host.requestUpdate()
  }
}
