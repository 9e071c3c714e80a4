// What a job printed, live: only the lines that are seen are in the document, however many there are.
import { html, nothing } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import * as f from '../format.ts'
import { send, url, type Problem } from '../server/client.ts'
import { t, tCount } from '../texts/index.ts'
import { copy } from './copy.ts'
import { icon } from './icon.ts'
import { hasSequences, parse } from './log/ansi.ts'
import { Palette } from './log/colors.ts'
import { CHARS_MOST, Lines } from './log/lines.ts'
import { marked, MATCHES_MOST, Search, type Range } from './log/search.ts'
import { LogStream, type LogState } from './log/stream.ts'
import { failure } from './notice.ts'
import { Part, Watched } from './part.ts'
import { styles } from './styles.ts'
import { tellProblem } from './toast.ts'

const ROW = 19
const SPARE = 12
/** Searching takes so much of each frame. */
const SEARCH_MS = 6
const WRAP_KEY = 'reeve.log.wrap'
const NOTE = /^\[reeve: .*\]$/
const MISSING = /^\[reeve: (\d+) bytes are missing here\]$/

export class LogView extends Part {
  static override properties = {
    job: { type: Number },
    attempt: { type: Number },
    live: { type: Boolean },
    choices: { attribute: false },
    onAttempt: { attribute: false },
    state: { state: true },
    wrap: { state: true },
    query: { state: true },
    stuck: { state: true },
  }

  declare job: number
  /** 0: none has begun. */
  declare attempt: number
  /** More may come. */
  declare live: boolean
  /** Numbers of the attempts to choose from. */
  declare choices: number[]
  declare onAttempt: ((n: number) => void) | undefined
  declare state: LogState
  declare wrap: boolean
  declare query: string
  /** It stays at the end. */
  declare stuck: boolean

  private lines = new Lines()
  private stream: LogStream | null = null
  private search: Search | null = null
  private problem: Problem | null = null
  /** Bytes before what was loaded, and whether the rest of a line is still to be passed over. */
  private skipped = 0
  private skipping = false
  /** Lines there were when one left the end. */
  private leftAt = 0
  private frame = 0
  private cols = 0
  private cell = 8
  private palette: Palette | null = null
  private top = 0
  private height = 400
  /** The first line that is seen: it stays where it is when lines before it go. */
  private anchor = { line: 0, offset: 0 }

  constructor() {
    super()
    this.job = 0
    this.attempt = 0
    this.live = false
    this.choices = []
    this.state = 'opening'
    this.wrap = localStorage.getItem(WRAP_KEY) !== 'no'
    this.query = ''
    this.stuck = true
    const repaint = () => {
      this.palette = null
      this.requestUpdate()
    }
    new Watched(this, () => this.measure(), repaint)
  }

  override connectedCallback() {
    super.connectedCallback()
    if (this.hasUpdated) this.open()
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    cancelAnimationFrame(this.frame)
    this.frame = 0
    this.stream?.close()
    this.stream = null
  }

  override willUpdate(changed: Map<PropertyKey, unknown>) {
    if (changed.has('job') || changed.has('attempt')) this.open()
    if (this.stream) this.stream.live = this.live
  }

  // ---- what comes ----

  private open() {
    this.stream?.close()
    this.stream = null
    this.lines = new Lines()
    this.problem = null
    this.skipped = 0
    this.stuck = true
    this.state = 'opening'
    this.search = this.query ? new Search(this.query, this.lines) : null
    if (!this.job || !this.attempt) return
    const lines = this.lines
    this.stream = new LogStream(this.job, this.attempt, CHARS_MOST, {
      onText: text => {
        lines.add(this.passOver(text))
        this.soon()
      },
      onGap: (bytes, first) => {
        if (first) this.skipped = bytes
        else lines.add(`\n[reeve: ${bytes} bytes are missing here]\n`)
        this.skipping = first
      },
      onState: (state, problem) => {
        if (state === 'ended') lines.finish()
        this.state = state
        this.problem = problem
        this.soon()
      },
    })
    this.stream.live = this.live
  }

  /** Whoever begins in the middle of a line begins with the next one. */
  private passOver(text: string): string {
    if (!this.skipping) return text
    const end = text.indexOf('\n')
    if (end < 0) return ''
    this.skipping = false
    return text.slice(end + 1)
  }

  /** Draws with the next frame, however often something comes. */
  private soon() {
    if (this.frame) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      if (this.search && !this.search.done) {
        this.search.step(() => performance.now(), performance.now() + SEARCH_MS)
        if (!this.search.done) this.soon()
      }
      this.requestUpdate()
    })
  }

  // ---- where one is ----

  private get scroller(): HTMLElement | null {
    return this.querySelector('.log')
  }

  private measure() {
    const log = this.scroller
    if (!log) return
    const probe = this.querySelector('.log-probe')!.getBoundingClientRect().width / 64
    if (probe) this.cell = probe
    this.height = log.clientHeight
    const gutter = this.gutter * this.cell + 24
    this.cols = this.wrap ? Math.max(20, Math.floor((log.clientWidth - gutter) / this.cell)) : 0
    this.requestUpdate()
  }

  private get gutter(): number {
    return Math.max(4, String(this.lines.first + this.lines.count).length + 1)
  }

  private scrolled() {
    const log = this.scroller!
    const up = log.scrollTop < this.top - 1
    this.top = log.scrollTop
    const atEnd = log.scrollHeight - log.clientHeight - log.scrollTop < ROW
    if (atEnd) this.stuck = true
    else if (up) this.leave()
    const line = this.lines.lineAt(Math.floor(this.top / ROW), this.cols)
    this.anchor = { line, offset: this.top - this.lines.rowsBefore(line, this.cols) * ROW }
    this.requestUpdate()
  }

  private leave() {
    if (!this.stuck) return
    this.stuck = false
    this.leftAt = this.lines.end
  }

  private follow() {
    this.stuck = true
    this.requestUpdate()
  }

  /** Text that somebody is selecting stays under the pointer. */
  private selecting(): boolean {
    const selection = document.getSelection()
    return !!selection && !selection.isCollapsed && this.contains(selection.anchorNode)
  }

  override updated(changed: Map<PropertyKey, unknown>) {
    if (changed.has('wrap') || !this.hasMeasured) {
      this.hasMeasured = true
      this.measure()
    }
    const log = this.scroller
    if (!log) return
    if (this.stuck && this.selecting()) this.leave()
    const wanted = this.stuck ? log.scrollHeight - log.clientHeight : this.lines.rowsBefore(Math.max(this.anchor.line, this.lines.first), this.cols) * ROW + this.anchor.offset
    if (Math.abs(log.scrollTop - wanted) < 1) return
    if (this.stuck || this.lines.first > 0 || changed.has('wrap')) log.scrollTop = this.top = Math.max(0, wanted)
  }

  private hasMeasured = false

  // ---- searching ----

  private typed(e: Event) {
    this.query = (e.target as HTMLInputElement).value
    this.search = this.query ? new Search(this.query, this.lines) : null
    this.soon()
  }

  private move(by: 1 | -1) {
    const line = this.search?.move(by, this.stuck ? this.lines.first : this.anchor.line)
    if (line === null || line === undefined) return
    this.leave()
    const row = this.lines.rowsBefore(line, this.cols)
    const top = row * ROW
    if (top < this.top || top > this.top + this.height - 2 * ROW) this.anchor = { line, offset: -Math.floor(this.height / 3) }
    const log = this.scroller!
    log.scrollTop = this.top = Math.max(0, this.lines.rowsBefore(this.anchor.line, this.cols) * ROW + this.anchor.offset)
    this.requestUpdate()
  }

  private key(e: KeyboardEvent) {
    const field = this.querySelector<HTMLInputElement>('.log-search input')!
    if ((e.key === 'f' && (e.ctrlKey || e.metaKey)) || (e.key === '/' && e.target !== field)) {
      e.preventDefault()
      field.focus()
      field.select()
    } else if (e.target === field && e.key === 'Enter') {
      e.preventDefault()
      this.move(e.shiftKey ? -1 : 1)
    } else if (e.target === field && e.key === 'Escape' && this.query) {
      field.value = ''
      this.query = ''
      this.search = null
    } else if (e.key === 'End' && e.target !== field) {
      this.follow()
    }
  }

  private found(): string {
    const s = this.search
    if (!s) return ''
    const m = f.number(s.lines.length)
    if (!s.lines.length) return s.done ? t('log.foundNone') : ''
    if (s.current >= 0) return t('log.found', { n: f.number(s.current + 1), m })
    return s.full ? t('log.foundMany', { m: f.number(MATCHES_MOST) }) : tCount('log.foundCount', s.lines.length, { m })
  }

  // ---- taking it away ----

  private async download() {
    try {
      const response = await send(url(`/api/v1/jobs/${this.job}/logs`, { attempt: this.attempt }), { headers: { Accept: 'text/plain' }, timeout: 0 })
      const link = document.createElement('a')
      link.href = URL.createObjectURL(await response.blob())
      link.download = `job-${this.job}-${this.attempt}.log`
      link.click()
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
    } catch (error) {
      tellProblem(error)
    }
  }

  private toggleWrap() {
    this.wrap = !this.wrap
    localStorage.setItem(WRAP_KEY, this.wrap ? 'yes' : 'no')
  }

  // ---- drawn ----

  private looks(): Palette {
    if (this.palette) return this.palette
    const css = getComputedStyle(this.scroller ?? this)
    return (this.palette = new Palette(css.backgroundColor, css.color))
  }

  override render() {
    return html`<div class="log-box" @keydown=${this.key}>
      ${this.toolbar()}
      ${this.state === 'failed' && this.problem ? failure(this.problem, () => (this.open(), this.requestUpdate())) : nothing}
      ${this.notes()}
      <div class="log-frame">
        <div class="log ${this.wrap ? 'log-wrap' : ''} ${this.short ? 'log-short' : ''}" ${styles({ '--log-rows': String(this.lines.rowsOfAll(this.cols)) })} tabindex="0" role="region" aria-label=${t('log.title')} @scroll=${this.scrolled}>
          <span class="log-probe" aria-hidden="true">${'0'.repeat(64)}</span>
          ${this.lines.count ? this.body() : this.emptyLog()}
        </div>
        ${this.stuck || !this.lines.count ? nothing : this.wayBack()}
      </div>
    </div>`
  }

  private toolbar() {
    const tool = (picture: Parameters<typeof icon>[0], text: string, action: () => void, pressed?: boolean) =>
      html`<button class="plain log-tool" title=${text} aria-label=${text} aria-pressed=${pressed === undefined ? nothing : pressed ? 'true' : 'false'} @click=${action}>${icon(picture)}</button>`
    const state = this.attempt ? this.state : null
    return html`<div class="log-bar"><h2>${t('log.title')}</h2>
      ${this.choices.length > 1
        ? html`<select class="log-attempt" aria-label=${t('job.attempts')} @change=${(e: Event) => this.onAttempt?.(Number((e.target as HTMLSelectElement).value))}>
            ${this.choices.map(n => html`<option value=${n} ?selected=${n === this.attempt}>${t('job.attempt', { n })}</option>`)}
          </select>`
        : nothing}
      <span class="log-state log-${state ?? ''}">${state ? t(`log.state.${state}`) : ''}<span class="quiet">${this.lines.count ? ' ' + tCount('log.lines', this.lines.first + this.lines.count) : ''}</span></span>
      <span class="log-search">${icon('search')}<input type="search" aria-label=${t('log.search')} placeholder=${t('log.search')} autocomplete="off" spellcheck="false" maxlength="200" @input=${this.typed}></span>
      <span class="log-found" role="status">${this.found()}</span>
      ${this.search ? html`${tool('up', t('log.previous'), () => this.move(-1))}${tool('next', t('log.next'), () => this.move(1))}` : nothing}
      <span class="log-tools">
        ${tool('wrap', t('log.wrap'), () => this.toggleWrap(), this.wrap)}
        ${tool('copy', t('log.copy'), () => void copy([...this.lines.texts()].join('\n')))}
        ${tool('down', t('log.download'), () => void this.download())}
      </span>
    </div>`
  }

  private notes() {
    const note = (text: string) => html`<p class="log-notice quiet">${text}</p>`
    if (this.lines.first > 0) return note(t('log.dropped', { n: f.number(this.lines.first) }))
    return this.skipped ? note(t('log.skipped', { size: f.bytes(this.skipped) })) : nothing
  }

  private emptyLog() {
    if (this.state === 'failed') return nothing
    return html`<p class="log-empty">${!this.attempt ? t('log.waiting') : this.state === 'ended' ? t('log.nothing') : t('log.empty')}</p>`
  }

  /** No higher than what there is, where no more comes. */
  private get short(): boolean {
    return this.state === 'ended' || this.state === 'failed' || !this.attempt
  }

  private wayBack() {
    const fresh = this.lines.end - this.leftAt
    return html`<button class="button log-back" @click=${this.follow}>${icon('down')}${fresh > 0 && this.live ? tCount('log.followNew', fresh) : t('log.follow')}</button>`
  }

  private body() {
    const { lines, cols } = this
    const rows = lines.rowsOfAll(cols)
    const top = this.stuck ? Math.max(0, rows * ROW - this.height) : this.top
    const from = lines.lineAt(Math.max(0, Math.floor(top / ROW) - SPARE), cols)
    const upTo = lines.lineAt(Math.ceil((top + this.height) / ROW) + SPARE, cols) + 1
    const shown = Array.from({ length: upTo - from }, (_, i) => from + i)
    const width = this.wrap ? '100%' : `${(lines.widest + this.gutter) * this.cell + 32}px`
    return html`<div class="log-body" ${styles({ height: `${rows * ROW}px`, width })}>
      <div class="log-window" ${styles({ transform: `translateY(${lines.rowsBefore(from, cols) * ROW}px)`, '--log-gutter': `${this.gutter}ch` })}>
        ${repeat(shown, n => n, n => this.line(n))}
      </div>
    </div>`
  }

  private line(n: number) {
    const raw = this.lines.raw(n)
    const style = this.lines.styleAt(n)
    const note = NOTE.test(raw)
    const missing = raw.match(MISSING)
    if (missing) return html`<div class="log-line log-gap" data-n=${n + 1}>${t('log.missing', { size: f.bytes(Number(missing[1])) })}</div>`
    const plain = !this.search && !hasSequences(raw) && style.fg === null && style.bg === null && !style.flags
    return html`<div class="log-line ${note ? 'log-note' : ''}" data-n=${n + 1}>${plain ? raw : this.spans(n, raw)}</div>`
  }

  private spans(n: number, raw: string) {
    const { spans } = parse(raw, this.lines.styleAt(n))
    const ranges: Range[] = this.search ? this.search.ranges(this.lines.text(n)) : []
    const current = this.search && this.search.lines[this.search.current] === n ? this.search.currentInLine : -1
    return marked(spans, ranges).map(m => {
      const part = html`<span ${styles(this.looks().of(m.style))}>${m.text}</span>`
      return m.range < 0 ? part : html`<mark class=${m.range === current ? 'log-here' : ''}>${m.text}</mark>`
    })
  }
}

customElements.define('reeve-log', LogView)
