// The one event stream of this tab. It is read by fetch, since an EventSource can't carry a bearer, and
// goes on behind the last event seen; a `reset` means: what you know is too old, ask anew.
import { send } from './client.ts'
import { session } from './session.ts'
import type { Event } from './types.ts'

export type LiveState = 'off' | 'connecting' | 'live' | 'waiting'

type Listener = (event: Event | 'reset') => void

const FIRST_PAUSE = 500
const LONGEST_PAUSE = 15_000
/** The server sends a comment every few seconds; silence for longer is a cut connection. */
const SILENCE = 45_000

class Live extends EventTarget {
  state: LiveState = 'off'
  private lastId: string | null = null
  private listeners = new Set<Listener>()
  private stop: AbortController | null = null
  private pause = FIRST_PAUSE
  private timer: number | undefined

  constructor() {
    super()
    session.onChange(() => (session.token && session.me ? this.start() : this.end()))
    window.addEventListener('online', () => this.hurry())
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.hurry())
  }

  on(listener: Listener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private start() {
    if (this.stop) return
    this.stop = new AbortController()
    void this.run(this.stop)
  }

  private end() {
    this.stop?.abort()
    this.stop = null
    this.lastId = null
    clearTimeout(this.timer)
    this.set('off')
  }

  /** Tries again now where it is waiting. */
  private hurry() {
    if (this.state !== 'waiting' || !this.stop) return
    clearTimeout(this.timer)
    void this.run(this.stop)
  }

  private set(state: LiveState) {
    if (state === this.state) return
    this.state = state
    this.dispatchEvent(new CustomEvent('state'))
  }

  private tell(event: Event | 'reset') {
    for (const listener of this.listeners) listener(event)
  }

  private async run(stop: AbortController) {
    this.set('connecting')
    const request = new AbortController()
    const cancel = () => request.abort()
    stop.signal.addEventListener('abort', cancel)
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' }
      if (this.lastId) headers['Last-Event-ID'] = this.lastId
      const response = await send('/api/v1/events', { headers, signal: request.signal, timeout: 0 })
      this.pause = FIRST_PAUSE
      this.set('live')
      // Whatever happened between the first answers and the stream is not in it.
      if (!this.lastId) this.tell('reset')
      await this.read(response.body!, request)
    } catch {
      // Told by the state; the next try says more.
    } finally {
      stop.signal.removeEventListener('abort', cancel)
      request.abort()
    }
    if (stop.signal.aborted) return
    this.set('waiting')
    const wait = this.pause * (0.5 + Math.random())
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE)
    this.timer = window.setTimeout(() => this.run(stop), wait)
  }

  private async read(body: ReadableStream<Uint8Array>, request: AbortController) {
    const reader = body.getReader()
    const decoder = new TextDecoder()
    let rest = ''
    let timer = setTimeout(() => request.abort(), SILENCE)
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        clearTimeout(timer)
        timer = setTimeout(() => request.abort(), SILENCE)
        rest += decoder.decode(value, { stream: true })
        const blocks = rest.split('\n\n')
        rest = blocks.pop()!
        for (const block of blocks) this.take(block)
      }
    } finally {
      clearTimeout(timer)
    }
  }

  private take(block: string) {
    let data = ''
    let name = ''
    for (const line of block.split('\n')) {
      if (line.startsWith('id: ')) this.lastId = line.slice(4)
      else if (line.startsWith('event: ')) name = line.slice(7)
      else if (line.startsWith('data: ')) data += line.slice(6)
    }
    if (name === 'reset') {
      this.tell('reset')
      return
    }
    if (!data) return
    try {
      this.tell(JSON.parse(data) as Event)
    } catch {
      this.tell('reset')
    }
  }
}

export const live = new Live()
