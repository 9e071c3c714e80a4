// Where a text occurs in the lines of a log, whatever the case of its letters. It looks at some lines at a
// time, so that the page stays awake, and goes on with what comes later. Pure: the clock is given.
import type { Span } from './ansi.ts'
import type { Lines } from './lines.ts'

/** More are counted as "more than". */
export const MATCHES_MOST = 100_000
const LINES_A_LOOK = 256

export interface Range {
  from: number
  to: number
}

export class Search {
  /** Lines with a match, once for each match in them, in order. */
  readonly lines: number[] = []
  /** Which of them one is at; -1: none yet. */
  current = -1
  private next: number
  private readonly pattern: RegExp

  constructor(
    readonly query: string,
    private readonly log: Lines,
  ) {
    this.pattern = new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'giu')
    this.next = log.first
  }

  get full(): boolean {
    return this.lines.length >= MATCHES_MOST
  }

  get done(): boolean {
    return this.full || this.next >= this.log.end
  }

  /** Where in TEXT. */
  ranges(text: string): Range[] {
    return [...text.matchAll(this.pattern)].map(m => ({ from: m.index, to: m.index + m[0].length }))
  }

  /** Looks on until NOW() passes UNTIL or all was looked at. */
  step(now: () => number, until: number) {
    this.forget()
    while (!this.done && now() < until) {
      const upTo = Math.min(this.log.end, this.next + LINES_A_LOOK)
      for (; this.next < upTo && !this.full; this.next++) {
        const text = this.log.text(this.next)
        this.pattern.lastIndex = 0
        while (this.pattern.exec(text)) this.lines.push(this.next)
      }
    }
  }

  /** What was dropped is found no more. */
  private forget() {
    if (this.next < this.log.first) this.next = this.log.first
    let gone = 0
    while (gone < this.lines.length && this.lines[gone]! < this.log.first) gone++
    if (!gone) return
    this.lines.splice(0, gone)
    this.current = Math.max(-1, this.current - gone)
  }

  /** The match after (1) or before (-1) the one that one is at; the first from line FROM on where there is none. Goes round. */
  move(by: 1 | -1, from: number): number | null {
    const count = this.lines.length
    if (!count) return null
    if (this.current < 0) {
      const at = this.lines.findIndex(n => n >= from)
      this.current = at < 0 ? (by > 0 ? 0 : count - 1) : by > 0 ? at : (at + count - 1) % count
    } else {
      this.current = (this.current + by + count) % count
    }
    return this.lines[this.current]!
  }

  /** Which match within its line the one that one is at is. */
  get currentInLine(): number {
    const line = this.lines[this.current]
    return this.current < 0 ? -1 : this.current - this.lines.indexOf(line!)
  }
}

export interface Marked extends Span {
  /** Number of the range that it lies in; -1: none. */
  range: number
}

/** SPANS cut at the borders of RANGES, which ascend and do not overlap. */
export function marked(spans: Span[], ranges: Range[]): Marked[] {
  const out: Marked[] = []
  let at = 0
  let r = 0
  for (const span of spans) {
    const end = at + span.text.length
    let from = at
    while (from < end) {
      while (r < ranges.length && ranges[r]!.to <= from) r++
      const range = ranges[r]
      const inside = range !== undefined && range.from <= from
      const to = Math.min(end, range === undefined ? end : inside ? range.to : range.from)
      out.push({ text: span.text.slice(from - at, to - at), style: span.style, range: inside ? r : -1 })
      from = to
    }
    at = end
  }
  return out
}
