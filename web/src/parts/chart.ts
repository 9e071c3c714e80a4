// Figures over time, by uPlot: lines with gaps where nothing was measured, a readout of the moment under the
// pointer (Left and Right move it as well), the last values otherwise.
import { html, nothing } from 'lit'
import { styles } from './styles.ts'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import * as f from '../format.ts'
import { t } from '../texts/index.ts'
import { Part, Watched } from './part.ts'

export interface ChartSeries {
  name: string
  values: (number | null)[]
  /** A colour of style/base.css: '--use'. */
  color: string
}

const DAY_MS = 86_400_000
const SHORT_MS = 600_000
/** Steps of a scale of memory. */
const BINARY = Array.from({ length: 44 }, (_, i) => 2 ** i)

export class Chart extends Part {
  static override properties = {
    series: { attribute: false },
    start: { attribute: false },
    stepMs: { attribute: false },
    unit: { attribute: false },
    max: { attribute: false },
    sync: { type: String },
    label: { type: String },
    rest: { type: String },
    at: { state: true },
  }

  declare series: ChartSeries[]
  /** Time of the first value. */
  declare start: string | null
  declare stepMs: number
  /** Writes a value: one of format.ts. */
  declare unit: (value: number | null) => string
  /** Top of the scale; the largest value when absent. */
  declare max: number | null | undefined
  /** Charts with the same word move their pointers together. */
  declare sync: string | undefined
  declare label: string
  /** What the last values are, where they are not those of now. */
  declare rest: string | undefined
  declare at: number | null

  private plot: uPlot | null = null
  /** What the plot was made for: with others it is made anew. */
  private shape = ''

  constructor() {
    super()
    this.series = []
    this.start = null
    this.stepMs = 60_000
    this.unit = v => f.number(v)
    this.label = ''
    this.at = null
    new Watched(this, () => this.resize(), () => this.remake())
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    this.forget()
  }

  private forget() {
    this.plot?.destroy()
    this.plot = null
    this.at = null
  }

  private remake() {
    this.forget()
    this.requestUpdate()
  }

  private get area(): HTMLElement | null {
    return this.querySelector('.chart-plot')
  }

  private resize() {
    const area = this.area
    if (this.plot && area?.clientWidth) this.plot.setSize({ width: area.clientWidth, height: area.clientHeight })
    else this.requestUpdate()
  }

  private get points(): number {
    return this.series[0]?.values.length ?? 0
  }

  private data(): uPlot.AlignedData {
    const from = Date.parse(this.start ?? '') || 0
    const times = Array.from({ length: this.points }, (_, i) => (from + i * this.stepMs) / 1_000)
    return [times, ...this.series.map(s => s.values)]
  }

  private key(e: KeyboardEvent) {
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, Home: -this.points, End: this.points }
    const step = steps[e.key]
    if (step === undefined || !this.plot || !this.points) return
    e.preventDefault()
    const last = this.points - 1
    const i = Math.max(0, Math.min(last, (this.at ?? last) + step))
    this.plot.setCursor({ left: this.plot.valToPos(this.plot.data[0][i]!, 'x'), top: 10 })
  }

  override render() {
    const last = (s: ChartSeries) => [...s.values].reverse().find(v => v !== null) ?? null
    const when = this.at === null ? (this.rest ?? t('unit.now')) : this.time((Date.parse(this.start ?? '') || 0) + this.at * this.stepMs)
    return html`<div class="chart-head"><span class="chart-label">${this.label}</span>
        <span class="chart-readout" aria-live="polite"><span class="quiet">${when}</span>
          ${this.series.map(
            s => html`<span class="chart-value">${this.series.length > 1 ? html`<span class="chart-swatch" ${styles({ background: `var(${s.color})` })}></span>${s.name} ` : nothing}${this.unit(this.at === null ? last(s) : (s.values[this.at] ?? null))}</span>`,
          )}</span></div>
      <div class="chart-plot" tabindex="0" role="img" aria-label=${this.label || this.series.map(s => s.name).join(', ')} @keydown=${this.key}
        @blur=${() => this.plot?.setCursor({ left: -10, top: -10 })}></div>`
  }

  override updated(changed: Map<PropertyKey, unknown>) {
    if (changed.size === 1 && changed.has('at')) return
    const area = this.area
    if (!area?.clientWidth) return
    const shape = this.series.map(s => s.name + s.color).join() + this.max
    if (this.plot && shape === this.shape) {
      this.plot.setData(this.data())
      return
    }
    this.plot?.destroy()
    this.shape = shape
    this.plot = new uPlot(this.options(area), this.data(), area)
  }

  private time(ms: number): string {
    const text = new Date(ms).toISOString()
    return this.points * this.stepMs > DAY_MS ? f.moment(text) : f.clock(text)
  }

  /** Seconds only where minutes would be the same. */
  private tick(ms: number): string {
    const text = this.time(ms)
    return this.points * this.stepMs < SHORT_MS ? text : text.replace(/:\d\d$/, '')
  }

  private options(area: HTMLElement): uPlot.Options {
    const style = getComputedStyle(this)
    const color = (name: string) => style.getPropertyValue(name).trim()
    const axis = { stroke: color('--quiet'), font: `11px ${style.fontFamily}`, ticks: { show: false }, grid: { stroke: color('--line'), width: 1 } }
    return {
      width: area.clientWidth,
      height: area.clientHeight,
      padding: [6, 8, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 7 },
        ...(this.sync ? { sync: { key: this.sync } } : {}),
      },
      scales: {
        x: { time: true },
        y: { range: (_u, _min, most) => [0, this.max ?? (most > 0 ? most * 1.08 : 1)] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 22, gap: 5, space: 72, values: (_u, at) => at.map(s => this.tick(s * 1_000)) },
        { ...axis, size: 62, gap: 6, space: 30, ...(this.unit === f.mebibytes || this.unit === f.bytes ? { incrs: BINARY } : {}), values: (_u, at) => at.map(v => this.unit(v)) },
      ],
      series: [
        {},
        ...this.series.map((s, i) => ({
          label: s.name,
          stroke: color(s.color),
          width: 1.5,
          spanGaps: false,
          points: { show: false },
          ...(i === 0 ? { fill: `color-mix(in srgb, ${color(s.color)} 12%, transparent)` } : {}),
        })),
      ],
      hooks: { setCursor: [u => (this.at = u.cursor.idx ?? null)] },
    }
  }
}

customElements.define('reeve-chart', Chart)
