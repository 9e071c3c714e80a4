// The ledger read from its newest row on: older rows when they are wanted, newer ones as they come.
import type { ReactiveController, ReactiveControllerHost } from 'lit'
import { get, Problem, url } from './client.ts'
import { live } from './live.ts'
import type { LedgerRow, Page } from './types.ts'

export type Question = Record<string, string>

const PAGE = 200
const CALM_MS = 700
/** More rows than this are not kept when newer ones come: a tab that is open for a day does not grow. */
const MOST = 4_000

export class Ledger implements ReactiveController {
  /** Newest first. */
  rows: LedgerRow[] = []
  /** Newer ones, held back while somebody reads further down. */
  waiting: LedgerRow[] = []
  problem: Problem | null = null
  /** Whether the oldest row is here. */
  complete = false
  loading = false
  /** Says whether newer rows may be put in front. */
  mayGrow: () => boolean = () => true

  private question: Question | null = null
  private cursor: string | null = null
  private head = 0
  private known = 0
  private off: (() => void) | null = null
  private timer: number | undefined
  private request: AbortController | null = null

  constructor(private readonly host: ReactiveControllerHost) {
    host.addController(this)
  }

  hostConnected() {
    this.off = live.on(event => {
      if (event !== 'reset') this.known = Math.max(this.known, event.seq)
      this.timer ??= window.setTimeout(() => void this.newer(), CALM_MS)
    })
  }

  hostDisconnected() {
    this.off?.()
    this.stop()
    this.question = null
  }

  private stop() {
    clearTimeout(this.timer)
    this.timer = undefined
    this.request?.abort()
    this.request = null
    this.loading = false
  }

  /** Rows that QUESTION's filters let through; the same question again changes nothing. */
  ask(question: Question) {
    if (JSON.stringify(question) === JSON.stringify(this.question)) return
    this.stop()
    this.question = question
    this.rows = []
    this.waiting = []
    this.cursor = null
    this.complete = false
    this.problem = null
    this.head = 0
    void this.older()
  }

  async older() {
    if (this.loading || this.complete || !this.question) return
    const known = this.known
    const page = await this.read({ ...this.question, before: '0', cursor: this.cursor ?? '', limit: String(PAGE) })
    if (!page) return
    if (!this.head) this.head = Math.max(known, page.items[0]?.seq ?? 0)
    this.rows = [...this.rows, ...page.items]
    this.cursor = page.next_cursor
    this.complete = page.next_cursor === null
    this.host.requestUpdate()
  }

  private async newer() {
    this.timer = undefined
    if (!this.question || !this.head || document.visibilityState === 'hidden') return
    if (this.loading) {
      this.timer = window.setTimeout(() => void this.newer(), CALM_MS)
      return
    }
    const known = this.known
    const page = await this.read({ ...this.question, after: String(this.head), limit: '1000' })
    if (!page) return
    this.head = Math.max(this.head, page.items.at(-1)?.seq ?? 0, page.next_cursor ? 0 : known)
    this.waiting = [...page.items.reverse(), ...this.waiting]
    if (page.next_cursor) this.timer = window.setTimeout(() => void this.newer(), 0)
    if (this.mayGrow()) this.grow()
    this.host.requestUpdate()
  }

  /** Puts in front what waits. */
  grow() {
    if (!this.waiting.length) return
    this.rows = [...this.waiting, ...this.rows]
    this.waiting = []
    if (this.rows.length > MOST) {
      this.rows = this.rows.slice(0, MOST / 2)
      this.cursor = String(this.rows.at(-1)!.seq)
      this.complete = false
    }
    this.host.requestUpdate()
  }

  private async read(query: Question): Promise<Page<LedgerRow> | null> {
    const request = (this.request = new AbortController())
    this.loading = true
    try {
      const page = await get<Page<LedgerRow>>(url('/api/v1/ledger', query), request.signal)
      this.problem = null
      return request.signal.aborted ? null : page
    } catch (error) {
      if (!request.signal.aborted) {
        this.problem = error instanceof Problem ? error : new Problem(0, '', String(error), '')
        this.host.requestUpdate()
      }
      return null
    } finally {
      if (this.request === request) this.loading = false
    }
  }
}
