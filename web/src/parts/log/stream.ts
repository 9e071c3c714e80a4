// A job's output as it comes, read by fetch; goes on behind the last byte when the connection was cut.
import { Problem, send, url } from '../../server/client.ts'

export interface LogSink {
  /** What came. */
  onText(text: string): void
  /** Bytes before what comes first (TAIL was not all), or that are missing here. */
  onGap(bytes: number, first: boolean): void
  onState(state: LogState, problem: Problem | null): void
}

/** following: more may come. ended: that was all. waiting: it will be tried again. failed: it will not. */
export type LogState = 'opening' | 'following' | 'waiting' | 'ended' | 'failed'

const FIRST_PAUSE = 500
const LONGEST_PAUSE = 15_000

/** A line that the server puts in for bytes that it does not have; it counts in no offset. */
const GAP = /^\[reeve: (\d+) bytes are missing here\]\n/gm
const LONGEST_GAP_LINE = 64

export class LogStream {
  /** Whether more may come of it: its end is then no end, but a cut. */
  live = true
  private stop = new AbortController()
  private next: number | null = null
  private pause = FIRST_PAUSE
  private timer: number | undefined
  private decoder = new TextDecoder()
  /** The end of what was read, where a line of the server may have begun. */
  private rest = ''

  constructor(
    private readonly job: number,
    private readonly attempt: number,
    private readonly tail: number,
    private readonly sink: LogSink,
  ) {
    window.addEventListener('online', this.hurry)
    void this.run()
  }

  close() {
    this.stop.abort()
    clearTimeout(this.timer)
    window.removeEventListener('online', this.hurry)
  }

  private hurry = () => {
    if (this.timer === undefined) return
    clearTimeout(this.timer)
    void this.run()
  }

  private async run() {
    this.timer = undefined
    const { signal } = this.stop
    let problem: Problem | null = null
    let whole = false
    try {
      const place = this.next === null ? { tail: this.tail } : { offset: this.next }
      const response = await send(url(`/api/v1/jobs/${this.job}/logs`, { attempt: this.attempt, follow: 'true', ...place }), {
        headers: { Accept: 'text/plain' },
        timeout: 0,
        signal,
      })
      this.begin(Number(response.headers.get('Reeve-Log-Offset') ?? 0))
      this.sink.onState('following', null)
      await this.read(response.body!.getReader())
      whole = true
    } catch (error) {
      if (error instanceof Problem) problem = error
    }
    if (signal.aborted) return
    this.goOn(whole, problem)
  }

  private goOn(whole: boolean, problem: Problem | null) {
    if (whole && !this.live) {
      this.sink.onText(this.decoder.decode())
      this.sink.onState('ended', null)
      return
    }
    if (problem && problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
      this.sink.onState('failed', problem)
      return
    }
    this.sink.onState(whole ? 'following' : 'waiting', problem)
    const wait = Math.max(this.pause * (0.5 + Math.random()), (problem?.retryAfter ?? 0) * 1_000)
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE)
    this.timer = window.setTimeout(() => void this.run(), wait)
  }

  private begin(offset: number) {
    if (this.next === null) {
      if (offset > 0) this.sink.onGap(offset, true)
    } else if (offset > this.next) {
      this.sink.onGap(offset - this.next, false)
    }
    this.next = offset
  }

  private async read(reader: ReadableStreamDefaultReader<Uint8Array>) {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      this.pause = FIRST_PAUSE
      this.next! += value.length
      const text = this.decoder.decode(value, { stream: true })
      this.count(text)
      this.sink.onText(text)
    }
  }

  /** Lines of the server are no bytes of the log; what they stand for is. */
  private count(text: string) {
    const seen = this.rest + text
    let from = 0
    for (const match of seen.matchAll(GAP)) {
      this.next! += Number(match[1]) - match[0].length
      from = match.index + match[0].length
    }
    const line = Math.max(from, seen.lastIndexOf('\n') + 1)
    this.rest = seen.length - line <= LONGEST_GAP_LINE ? seen.slice(line) : 'x'
  }
}
