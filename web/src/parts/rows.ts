// A table of any length: only the rows that are seen are in the document. Up, Down, PageUp, PageDown, Home
// and End move, Enter opens. Rows have one height (two on a phone, where a row is a small card).
import { html, nothing, type TemplateResult } from 'lit'
import { styles } from './styles.ts'
import { repeat } from 'lit/directives/repeat.js'
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
  declare label: string
  /** Takes the height that is left and scrolls by itself; else it is as high as its rows. */
  declare fill: boolean
  declare first: number
  declare count: number
  declare width: number

  private active = 0
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
    const scroller = this.scroller
    if (!scroller) return
    this.width = this.clientWidth
    if (!this.fill) return
    this.first = Math.max(0, Math.floor(scroller.scrollTop / this.rowHeight) - SPARE)
    this.count = Math.ceil(scroller.clientHeight / this.rowHeight) + 2 * SPARE
  }

  override updated() {
    this.measure()
  }

  private key(e: KeyboardEvent) {
    if ((e.target as HTMLElement).closest('input, select, textarea')) return
    const page = Math.max(1, Math.floor((this.scroller?.clientHeight ?? 0) / this.rowHeight) - 1)
    const last = this.items.length - 1
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -last, End: last }
    const step = steps[e.key]
    if (e.key === 'Enter' && this.open && (e.target as HTMLElement).getAttribute('role') === 'row') {
      const item = this.items[this.active]
      if (item !== undefined) this.open(item)
      return
    }
    if (step === undefined) return
    e.preventDefault()
    this.active = Math.max(0, Math.min(last, this.active + step))
    this.reveal()
  }

  private async reveal() {
    const scroller = this.scroller
    if (scroller && this.fill) {
      const top = this.active * this.rowHeight
      const room = scroller.clientHeight - (this.phone ? 0 : this.rowHeight)
      if (top < scroller.scrollTop) scroller.scrollTop = top
      else if (top + this.rowHeight > scroller.scrollTop + room) scroller.scrollTop = top + this.rowHeight - room
      this.measure()
    }
    this.requestUpdate()
    await this.updateComplete
    this.querySelector<HTMLElement>(`[data-row="${this.active}"]`)?.focus({ preventScroll: this.fill })
  }

  private clicked(e: MouseEvent, item: T) {
    if (!this.open || (e.target as HTMLElement).closest('a, button, input, select')) return
    if (window.getSelection()?.toString()) return
    this.open(item)
  }

  override render() {
    const columns = this.columns.filter(c => this.phone ? c.phone !== false : !c.from || this.width >= WIDE[c.from])
    const shown = this.phone ? columns.filter(c => !c.second) : columns
    const tracks = shown.map(c => c.width).join(' ')
    const height = this.rowHeight
    const from = this.fill ? Math.min(this.first, Math.max(0, this.items.length - 1)) : 0
    const items = this.fill ? this.items.slice(from, from + this.count) : this.items
    if (this.active >= this.items.length) this.active = Math.max(0, this.items.length - 1)
    return html`<div class="rows ${this.fill ? 'rows-fill' : ''}" role="grid" aria-label=${this.label} aria-rowcount=${this.items.length + 1}
      @scroll=${this.measure} @keydown=${this.key}>
      ${this.phone ? nothing : html`<div class="rows-head" role="row" aria-rowindex="1" ${styles({ 'grid-template-columns': tracks })}>
        ${shown.map(c => this.head(c))}
      </div>`}
      <div class="rows-body" role="rowgroup" ${styles({ height: `${this.items.length * height}px` })}>
        ${repeat(items, this.keyOf, (item, i) => this.row(item, from + i, shown, columns, tracks))}
      </div>
    </div>`
  }

  private head(c: Column<T>) {
    const mark = c.sorted === 'ascending' ? ' ↑' : c.sorted === 'descending' ? ' ↓' : ''
    return html`<span role="columnheader" class=${c.right ? 'right' : ''} aria-sort=${c.sorted ?? nothing}>
      ${c.sort ? html`<button class="rows-sort" @click=${c.sort}>${c.head}<span aria-hidden="true">${mark}</span></button>` : c.quietHead ? html`<span class="unseen">${c.head}</span>` : c.head}
    </span>`
  }

  private row(item: T, i: number, shown: Column<T>[], all: Column<T>[], tracks: string) {
    const place = { transform: `translateY(${i * this.rowHeight}px)`, 'grid-template-columns': this.phone ? '' : tracks }
    return html`<div role="row" class="row ${this.open ? 'row-open' : ''} ${this.phone ? 'row-card' : ''} ${this.mark?.(item) ?? ''}" aria-rowindex=${i + 2} data-row=${i}
      tabindex=${i === this.active ? 0 : -1} ${styles(place)}
      @focus=${() => (this.active = i)} @click=${(e: MouseEvent) => this.clicked(e, item)}>
      ${shown.map(c => html`<span role="gridcell" class=${c.right ? 'right' : ''}>${c.cell(item)}</span>`)}
      ${this.phone ? html`<span role="gridcell" class="row-second">${all.filter(c => c.second).map(c => html`<span>${c.cell(item)}</span>`)}</span>` : nothing}
    </div>`
  }
}

customElements.define('reeve-rows', Rows)
