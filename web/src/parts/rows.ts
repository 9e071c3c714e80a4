// A table of any length: only the rows that are seen are in the document. Up, Down, PageUp, PageDown, Home
// and End move, Enter opens; where rows can be picked, Space does, with Shift up to the row picked before.
// Rows have one height (two on a phone, where a row is a small card). The row that has the focus keeps it
// wherever it moves, also when it is not seen.
import { html, nothing, type TemplateResult } from 'lit'
import { styles } from './styles.ts'
import { repeat } from 'lit/directives/repeat.js'
import { t } from '../texts/index.ts'
import { Part } from './part.ts'

export interface Column<T> {
  head: string
  /** The head is read out, but not seen: columns of buttons. */
  quietHead?: boolean
  /** The track of the grid: '5rem', 'minmax(8rem, 2fr)'. */
  width: string
  cell: (item: T) => TemplateResult | string | typeof nothing
  /** Figures stand at the right. */
  right?: boolean
  /** From which width on it is shown: 'm' 900 px, 'l' 1200 px; always when absent. */
  from?: 'm' | 'l'
  /** On a phone, in the second line of the card. */
  second?: boolean
  /** False: not on a phone. */
  phone?: boolean
  /** The head is a button that sorts by it. */
  sort?: () => void
  sorted?: 'ascending' | 'descending' | undefined
}

const WIDE = { m: 900, l: 1200 }
const PHONE = 640
const SPARE = 8

export class Rows<T> extends Part {
  static override properties = {
    items: { attribute: false },
    columns: { attribute: false },
    keyOf: { attribute: false },
    open: { attribute: false },
    mark: { attribute: false },
    picked: { attribute: false },
    onPick: { attribute: false },
    onEnd: { attribute: false },
    label: { type: String },
    fill: { type: Boolean },
    first: { state: true },
    count: { state: true },
    width: { state: true },
  }

  declare items: T[]
  declare columns: Column<T>[]
  declare keyOf: (item: T) => string | number
  declare open: ((item: T) => void) | undefined
  /** A class for the row. */
  declare mark: ((item: T) => string) | undefined
  /** Keys of the rows that are picked, where rows can be. */
  declare picked: ReadonlySet<string | number> | undefined
  /** Others are picked now. */
  declare onPick: ((picked: Set<string | number>) => void) | undefined
  /** The last rows are about to be seen: there may be more to load. */
  declare onEnd: (() => void) | undefined
  declare label: string
  /** Takes the height that is left and scrolls by itself; else it is as high as its rows. */
  declare fill: boolean
  declare first: number
  declare count: number
  declare width: number

  private active = 0
  private activeKey: string | number | null = null
  private focused = false
  private lastPick = -1
  /** As last seen: asking for them while drawing would make the browser lay out twice. */
  private top = 0
  private height = 0
  private resized = new ResizeObserver(() => this.measure())

  constructor() {
    super()
    this.items = []
    this.columns = []
    this.keyOf = item => String(item)
    this.label = ''
    this.fill = false
    this.first = 0
    this.count = 40
    this.width = window.innerWidth
  }

  override connectedCallback() {
    super.connectedCallback()
    this.resized.observe(this)
    if (this.scroller) this.resized.observe(this.scroller)
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    this.resized.disconnect()
  }

  private get phone(): boolean {
    return this.width < PHONE
  }

  private get rowHeight(): number {
    return this.phone ? 58 : 34
  }

  private get scroller(): HTMLElement | null {
    return this.querySelector('.rows')
  }

  private measure = () => {
    this.width = this.clientWidth
    this.height = this.scroller?.clientHeight ?? 0
    this.see()
  }

  private scrolled = () => {
    this.top = this.scroller?.scrollTop ?? 0
    this.see()
  }

  /** Which rows are seen. */
  private see() {
    if (!this.fill) return
    this.first = Math.max(0, Math.floor(this.top / this.rowHeight) - SPARE)
    this.count = Math.ceil(this.height / this.rowHeight) + 2 * SPARE
    if (this.first + this.count >= this.items.length) this.onEnd?.()
  }

  override firstUpdated() {
    this.resized.observe(this.scroller!)
  }

  override willUpdate(changed: Map<PropertyKey, unknown>) {
    if (!changed.has('items')) return
    // The row that one is at may have moved; if it is gone, its neighbour takes its place.
    const at = this.activeKey === null ? -1 : this.items.findIndex(item => this.keyOf(item) === this.activeKey)
    if (at >= 0) this.active = at
    else this.active = Math.max(0, Math.min(this.active, this.items.length - 1))
  }

  override updated(changed: Map<PropertyKey, unknown>) {
    if (changed.has('items')) this.see()
    if (this.focused && document.activeElement === document.body) this.rowAt(this.active)?.focus({ preventScroll: true })
  }

  private rowAt(i: number): HTMLElement | null {
    return this.querySelector<HTMLElement>(`[data-row="${i}"]`)
  }

  private moved(e: FocusEvent) {
    // Without another target the row was taken out of the document, or the window lost the focus.
    this.focused = e.type === 'focusin' || !e.relatedTarget
  }

  private pick(i: number, upTo: boolean) {
    const item = this.items[i]
    if (!this.picked || item === undefined) return
    const picked = new Set(this.picked)
    const on = !picked.has(this.keyOf(item))
    const from = upTo && this.lastPick >= 0 ? Math.min(this.lastPick, i) : i
    const to = upTo && this.lastPick >= 0 ? Math.max(this.lastPick, i) : i
    for (const each of this.items.slice(from, to + 1)) {
      if (on) picked.add(this.keyOf(each))
      else picked.delete(this.keyOf(each))
    }
    this.lastPick = i
    this.onPick?.(picked)
  }

  private pickAll() {
    const all = this.picked && this.picked.size < this.items.length
    this.onPick?.(new Set(all ? this.items.map(this.keyOf) : []))
  }

  private key(e: KeyboardEvent) {
    const target = e.target as HTMLElement
    if (target.closest('select, textarea, input:not([type=checkbox])')) return
    if (this.picked && e.key === ' ' && target.getAttribute('role') === 'row') {
      e.preventDefault()
      this.pick(this.active, e.shiftKey)
      return
    }
    const page = Math.max(1, Math.floor((this.scroller?.clientHeight ?? 0) / this.rowHeight) - 1)
    const last = this.items.length - 1
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -last, End: last }
    const step = steps[e.key]
    if (e.key === 'Enter' && this.open && target.getAttribute('role') === 'row') {
      const item = this.items[this.active]
      if (item !== undefined) this.open(item)
      return
    }
    if (step === undefined) return
    e.preventDefault()
    this.goTo(Math.max(0, Math.min(last, this.active + step)))
    if (this.picked && e.shiftKey) this.pick(this.active, true)
    void this.reveal()
  }

  private goTo(i: number) {
    this.active = i
    const item = this.items[i]
    this.activeKey = item === undefined ? null : this.keyOf(item)
  }

  private async reveal() {
    const scroller = this.scroller
    if (scroller && this.fill) {
      const top = this.active * this.rowHeight
      const room = scroller.clientHeight - (this.phone ? 0 : this.rowHeight)
      if (top < scroller.scrollTop) scroller.scrollTop = top
      else if (top + this.rowHeight > scroller.scrollTop + room) scroller.scrollTop = top + this.rowHeight - room
      this.scrolled()
    }
    this.requestUpdate()
    await this.updateComplete
    this.rowAt(this.active)?.focus({ preventScroll: this.fill })
  }

  private clicked(e: MouseEvent, item: T) {
    if (!this.open || (e.target as HTMLElement).closest('a, button, input, select')) return
    if (window.getSelection()?.toString()) return
    this.open(item)
  }

  override render() {
    const columns = this.columns.filter(c => this.phone ? c.phone !== false : !c.from || this.width >= WIDE[c.from])
    const shown = this.phone ? columns.filter(c => !c.second) : columns
    const tracks = (this.picked ? '1rem ' : '') + shown.map(c => c.width).join(' ')
    const height = this.rowHeight
    const from = this.fill ? Math.min(this.first, Math.max(0, this.items.length - 1)) : 0
    const shownRows = this.shownRows(from)
    return html`<div class="rows ${this.fill ? 'rows-fill' : ''}" role="grid" aria-label=${this.label} aria-rowcount=${this.items.length + 1}
      aria-multiselectable=${this.picked ? 'true' : nothing}
      @scroll=${this.scrolled} @keydown=${this.key} @focusin=${this.moved} @focusout=${this.moved}>
      ${this.phone ? nothing : html`<div class="rows-head" role="row" aria-rowindex="1" ${styles({ 'grid-template-columns': tracks })}>
        ${this.picked ? html`<span role="columnheader" class="row-pick">${this.allBox()}</span>` : nothing}
        ${shown.map(c => this.head(c))}
      </div>`}
      <div class="rows-body" role="rowgroup" ${styles({ height: `${this.items.length * height}px` })}>
        ${repeat(shownRows, i => this.keyOf(this.items[i]!), i => this.row(this.items[i]!, i, shown, columns, tracks))}
      </div>
    </div>`
  }

  private head(c: Column<T>) {
    const mark = c.sorted === 'ascending' ? ' ↑' : c.sorted === 'descending' ? ' ↓' : ''
    return html`<span role="columnheader" class=${c.right ? 'right' : ''} aria-sort=${c.sorted ?? nothing}>
      ${c.sort ? html`<button class="rows-sort" @click=${c.sort}>${c.head}<span aria-hidden="true">${mark}</span></button>` : c.quietHead ? html`<span class="unseen">${c.head}</span>` : c.head}
    </span>`
  }

  /** Places of the rows in the document: those near what is seen, and the one with the focus. */
  private shownRows(from: number): number[] {
    const upTo = this.fill ? Math.min(this.items.length, from + this.count) : this.items.length
    const list = Array.from({ length: Math.max(0, upTo - from) }, (_, i) => from + i)
    if (this.focused && this.active < this.items.length) {
      if (this.active < from) list.unshift(this.active)
      else if (this.active >= upTo) list.push(this.active)
    }
    return list
  }

  private allBox() {
    const some = (this.picked?.size ?? 0) > 0
    const all = some && this.items.every(item => this.picked!.has(this.keyOf(item)))
    return html`<input type="checkbox" aria-label=${t('list.pickAll')} .checked=${all} .indeterminate=${some && !all} ?disabled=${!this.items.length} @change=${this.pickAll}>`
  }

  private row(item: T, i: number, shown: Column<T>[], all: Column<T>[], tracks: string) {
    const place = { transform: `translateY(${i * this.rowHeight}px)`, 'grid-template-columns': this.phone ? '' : tracks }
    const picked = this.picked?.has(this.keyOf(item)) ?? false
    return html`<div role="row" class="row ${picked ? 'row-picked' : ''} ${this.open ? 'row-open' : ''} ${this.phone ? 'row-card' : ''} ${this.mark?.(item) ?? ''}" aria-rowindex=${i + 2} data-row=${i}
      tabindex=${i === this.active ? 0 : -1} aria-selected=${this.picked ? (picked ? 'true' : 'false') : nothing} ${styles(place)}
      @focus=${() => this.goTo(i)} @click=${(e: MouseEvent) => this.clicked(e, item)}>
      ${this.picked
        ? html`<span role="gridcell" class="row-pick"><input type="checkbox" tabindex="-1" aria-label=${t('list.pick', { what: String(this.keyOf(item)) })} .checked=${picked}
            @click=${(e: MouseEvent) => this.pick(i, e.shiftKey)}></span>`
        : nothing}
      ${this.phone
        ? html`<span role="gridcell" class="row-first">${shown.map(c => html`<span class=${c.right ? 'right' : ''}>${c.cell(item)}</span>`)}</span>
            <span role="gridcell" class="row-second">${all.filter(c => c.second).map(c => html`<span class=${c.right ? 'right' : ''}>${c.cell(item)}</span>`)}</span>`
        : shown.map(c => html`<span role="gridcell" class=${c.right ? 'right' : ''}>${c.cell(item)}</span>`)}
    </div>`
  }
}

customElements.define('reeve-rows', Rows)
