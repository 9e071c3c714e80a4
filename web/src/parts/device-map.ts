// Every GPU as one cell of one canvas, node by node: filled by its use, with a mark of its own where it is
// free, used by others, faulty or unknown. The pointer or the arrow keys read one out, a click or Enter opens.
import { html, nothing, svg, type SVGTemplateResult } from 'lit'
import * as f from '../format.ts'
import { go, to } from '../router.ts'
import type { Device } from '../server/types.ts'
import { t, tMaybe, type TextKey } from '../texts/index.ts'
import { Part, Watched } from './part.ts'
import { deviceState } from './state.ts'
import { styles } from './styles.ts'

interface Cell {
  device: Device
  x: number
  y: number
}

interface Label {
  text: string
  x: number
  y: number
  width: number
}

interface Layout {
  cells: Cell[]
  labels: Label[]
  size: number
  height: number
}

const GAP = 2
const BETWEEN = 16
const LABEL = 16
const COLUMNS = 16

/** A cell is as large as their number lets it be. */
const sizeFor = (n: number) => (n <= 64 ? 30 : n <= 256 ? 18 : 12)

function layOut(devices: Device[], width: number): Layout {
  const size = sizeFor(devices.length)
  const step = size + GAP
  const nodes = byNode(devices)
  const most = Math.max(0, ...[...nodes.values()].map(list => list.length))
  const columns = Math.max(1, Math.min(most, COLUMNS, Math.floor(width / step)))
  const block = Math.max(columns * step - GAP, 72)
  const layout: Layout = { cells: [], labels: [], size, height: 0 }
  let x = 0
  let y = 0
  let tallest = 0
  for (const [node, list] of nodes) {
    if (x && x + block > width) {
      x = 0
      y += tallest + BETWEEN * 0.7
      tallest = 0
    }
    layout.labels.push({ text: node, x, y: y + 11, width: block })
    list.forEach((device, i) => layout.cells.push({ device, x: x + (i % columns) * step, y: y + LABEL + Math.floor(i / columns) * step }))
    tallest = Math.max(tallest, LABEL + Math.ceil(list.length / columns) * step)
    x += block + BETWEEN
  }
  layout.height = y + tallest
  return layout
}

function byNode(devices: Device[]): Map<string, Device[]> {
  const nodes = new Map<string, Device[]>()
  for (const d of devices) {
    const list = nodes.get(d.node)
    if (list) list.push(d)
    else nodes.set(d.node, [d])
  }
  return nodes
}

export class DeviceMap extends Part {
  static override properties = {
    devices: { attribute: false },
    open: { attribute: false },
    label: { type: String },
    active: { state: true },
    shown: { state: true },
  }

  declare devices: Device[]
  declare open: (device: Device) => void
  declare label: string
  /** The one that is read out, by its id: places change. */
  declare active: number | null
  declare shown: boolean

  private layout: Layout = { cells: [], labels: [], size: 0, height: 0 }
  private width = 0
  private frame = 0

  constructor() {
    super()
    this.devices = []
    this.open = device => go(to('fleet', device.id))
    this.label = ''
    this.active = null
    this.shown = false
    new Watched(this, () => this.requestUpdate(), () => this.soon())
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    cancelAnimationFrame(this.frame)
    this.frame = 0
  }

  override willUpdate(changed: Map<PropertyKey, unknown>) {
    if (changed.has('devices') || this.clientWidth !== this.width) {
      this.width = this.clientWidth
      this.layout = layOut(this.devices, this.width)
    }
  }

  override render() {
    const { height } = this.layout
    const cell = this.cell()
    const read = cell ?? this.layout.cells[0]
    return html`${this.legend()}
      <div class="map" role="listbox" tabindex="0" aria-label=${this.label || t('map.label')} aria-activedescendant="map-option"
        ${styles({ height: `${Math.ceil(height)}px` })}
        @keydown=${this.key} @focus=${this.focused} @blur=${this.left} @pointermove=${this.moved} @pointerleave=${this.left} @click=${this.clicked}>
        <canvas aria-hidden="true"></canvas>
        <div id="map-option" class="unseen" role="option" aria-selected="true" aria-setsize=${this.layout.cells.length} aria-posinset=${read ? this.layout.cells.indexOf(read) + 1 : 1}>
          ${read ? said(read.device) : ''}
        </div>
        ${cell && this.shown ? this.tip(cell) : nothing}
      </div>`
  }

  override updated() {
    this.soon()
  }

  private cell(): Cell | undefined {
    return this.active === null ? undefined : this.layout.cells.find(c => c.device.id === this.active)
  }

  private tip(cell: Cell) {
    const d = cell.device
    const right = cell.x > this.width / 2
    const place = { top: `${cell.y + this.layout.size + 6}px`, ...(right ? { right: `${this.width - cell.x - this.layout.size}px` } : { left: `${cell.x}px` }) }
    return html`<div class="map-tip" aria-hidden="true" ${styles(place)}>
      <div class="map-tip-head"><strong>${d.node} · GPU ${d.index}</strong>${deviceState(d)}</div>
      <div class="quiet">${f.model(d.model)}</div>
      <div class="map-tip-figures"><span>${f.percent(d.gpu_utilization)}</span><span>${f.mebibytes(d.memory_used_mib)} / ${f.mebibytes(d.memory_total_mib)}</span><span>${f.watts(d.power_watts)}</span><span>${f.celsius(d.temperature_celsius)}</span></div>
      ${d.job ? html`<div>${t('word.job')} ${d.job.id} <span class="quiet">${d.job.user ?? ''}</span></div>` : nothing}
      ${d.state === 'faulty' && d.health ? html`<div class="map-tip-bad">${d.health}</div>` : nothing}
    </div>`
  }

  private legend() {
    const entry = (key: TextKey, mark: SVGTemplateResult) => html`<li><svg class="map-mark" viewBox="0 0 14 14" aria-hidden="true">${mark}</svg>${t(key)}</li>`
    return html`<ul class="map-legend">
      ${entry('device.available', svg`<rect class="map-free" x="1" y="1" width="12" height="12" rx="2"/>`)}
      <li><span class="map-scale" aria-hidden="true"></span>${t('map.use')} ${f.percent(0)} – ${f.percent(100)}</li>
      ${this.devices.some(isUntold) ? entry('map.untold', svg`<rect class="map-free map-used" x="1" y="1" width="12" height="12" rx="2"/><rect class="map-dot" x="5" y="5" width="4" height="4"/>`) : nothing}
      ${entry('map.foreign', svg`<rect class="map-free" x="1" y="1" width="12" height="12" rx="2"/><path class="map-busy" d="M13 4v9H4z"/>`)}
      ${entry('device.faulty', svg`<rect class="map-faulty" x="1" y="1" width="12" height="12" rx="2"/><path class="map-faulty" d="M4 4l6 6M10 4l-6 6"/>`)}
      ${entry('device.unknown', svg`<rect class="map-unknown" x="1" y="1" width="12" height="12" rx="2"/><path class="map-unknown-dash" d="M4 7h6"/>`)}
    </ul>`
  }

  private hit(e: PointerEvent | MouseEvent): Cell | undefined {
    const box = this.querySelector('.map')!.getBoundingClientRect()
    const x = e.clientX - box.left
    const y = e.clientY - box.top
    const reach = this.layout.size + GAP
    return this.layout.cells.find(c => x >= c.x && x < c.x + reach && y >= c.y && y < c.y + reach)
  }

  private moved(e: PointerEvent) {
    const cell = this.hit(e)
    this.shown = !!cell
    if (cell) this.active = cell.device.id
  }

  private left = () => {
    this.shown = false
    this.requestUpdate()
  }

  private focused() {
    if (!this.querySelector('.map:focus-visible')) return
    this.active ??= this.layout.cells[0]?.device.id ?? null
    this.shown = true
  }

  private clicked(e: MouseEvent) {
    const cell = this.hit(e)
    if (cell) this.open(cell.device)
  }

  private key(e: KeyboardEvent) {
    const cells = this.layout.cells
    const cell = this.cell() ?? cells[0]
    if (!cell) return
    if (e.key === 'Enter' || e.key === ' ') {
      e.preventDefault()
      this.open(cell.device)
      return
    }
    if (e.key === 'Escape') {
      this.shown = false
      return
    }
    const i = cells.indexOf(cell)
    const aims: Record<string, Cell | undefined> = {
      ArrowRight: cells[i + 1],
      ArrowLeft: cells[i - 1],
      Home: cells[0],
      End: cells[cells.length - 1],
      ArrowDown: this.beside(cell, 1),
      ArrowUp: this.beside(cell, -1),
    }
    if (!(e.key in aims)) return
    e.preventDefault()
    this.active = (aims[e.key] ?? cell).device.id
    this.shown = true
  }

  /** The nearest cell of the next row below (1) or above (-1). */
  private beside(from: Cell, way: 1 | -1): Cell | undefined {
    const rows = this.layout.cells.filter(c => (c.y - from.y) * way > 0)
    const y = way > 0 ? Math.min(...rows.map(c => c.y)) : Math.max(...rows.map(c => c.y))
    return rows.filter(c => c.y === y).reduce<Cell | undefined>((best, c) => (!best || Math.abs(c.x - from.x) < Math.abs(best.x - from.x) ? c : best), undefined)
  }

  private soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0
      this.draw()
    })
  }

  private draw() {
    const canvas = this.querySelector('canvas')
    if (!canvas || !this.width) return
    const scale = window.devicePixelRatio || 1
    const w = Math.round(this.width * scale)
    const h = Math.round(Math.ceil(this.layout.height) * scale)
    if (canvas.width !== w) canvas.width = w
    if (canvas.height !== h) canvas.height = h
    const g = canvas.getContext('2d')!
    g.setTransform(scale, 0, 0, scale, 0, 0)
    g.clearRect(0, 0, this.width, this.layout.height)
    const style = getComputedStyle(this)
    const ink = (name: string) => style.getPropertyValue(name).trim()
    g.font = `11px ${style.fontFamily}`
    g.fillStyle = ink('--quiet')
    for (const label of this.layout.labels) g.fillText(fitting(g, label.text, label.width), label.x, label.y)
    const pen: Pen = { g, size: this.layout.size, line: ink('--line-strong'), use: ink('--use'), wait: ink('--wait'), bad: ink('--bad'), badSoft: ink('--bad-soft'), quiet: ink('--quiet'), sunken: ink('--sunken') }
    for (const cell of this.layout.cells) drawCell(pen, cell)
    const active = this.shown ? this.cell() : undefined
    if (!active) return
    g.strokeStyle = ink('--text')
    g.lineWidth = 2
    box(g, active.x - 1, active.y - 1, this.layout.size + 2)
    g.stroke()
  }
}

interface Pen {
  g: CanvasRenderingContext2D
  size: number
  line: string
  use: string
  wait: string
  bad: string
  badSoft: string
  quiet: string
  sunken: string
}

const isUsed = (d: Device) => d.state === 'allocated' || d.state === 'busy'

/** In use by a job whose figures the reader may not see. */
const isUntold = (d: Device) => isUsed(d) && d.gpu_utilization == null

function box(g: CanvasRenderingContext2D, x: number, y: number, size: number) {
  g.beginPath()
  g.roundRect(x, y, size, size, Math.min(3, size / 5))
}

function drawCell({ g, size, line, use, wait, bad, badSoft, quiet, sunken }: Pen, { device, x, y }: Cell) {
  const state = device.state
  box(g, x + 0.5, y + 0.5, size - 1)
  g.lineWidth = 1
  if (isUsed(device)) {
    g.fillStyle = sunken
    g.fill()
    g.fillStyle = use
    const known = device.gpu_utilization != null
    if (known) g.globalAlpha = 0.14 + 0.86 * Math.min(1, Math.max(0, device.gpu_utilization! / 100))
    if (known) g.fill()
    else g.fillRect(x + size * 0.32, y + size * 0.32, size * 0.36, size * 0.36)
    g.globalAlpha = 1
  } else if (state !== 'available') {
    g.fillStyle = state === 'faulty' ? badSoft : sunken
    g.fill()
  }
  g.strokeStyle = state === 'faulty' ? bad : isUsed(device) ? use : line
  g.stroke()
  const inset = size * 0.3
  g.beginPath()
  if (state === 'busy') {
    g.moveTo(x + size, y + size * 0.4)
    g.lineTo(x + size, y + size)
    g.lineTo(x + size * 0.4, y + size)
    g.fillStyle = wait
    g.fill()
  } else if (state === 'faulty') {
    g.moveTo(x + inset, y + inset)
    g.lineTo(x + size - inset, y + size - inset)
    g.moveTo(x + size - inset, y + inset)
    g.lineTo(x + inset, y + size - inset)
    g.lineWidth = 1.5
    g.stroke()
  } else if (state === 'unknown') {
    g.moveTo(x + inset, y + size / 2)
    g.lineTo(x + size - inset, y + size / 2)
    g.strokeStyle = quiet
    g.lineWidth = 1.5
    g.stroke()
  }
}

/** TEXT, cut where it is wider than WIDTH. */
function fitting(g: CanvasRenderingContext2D, text: string, width: number): string {
  if (g.measureText(text).width <= width) return text
  let n = text.length
  while (n > 1 && g.measureText(text.slice(0, n) + '…').width > width) n--
  return text.slice(0, n) + '…'
}

/** What is read out of one. */
function said(d: Device): string {
  const parts = [
    `${d.node}, GPU ${d.index}`,
    f.model(d.model),
    tMaybe('device.' + d.state, d.state),
    `${t('word.use')} ${f.percent(d.gpu_utilization)}`,
    `${t('word.memory')} ${f.mebibytes(d.memory_used_mib)} / ${f.mebibytes(d.memory_total_mib)}`,
    f.watts(d.power_watts),
    f.celsius(d.temperature_celsius),
  ]
  if (d.job) parts.push(`${t('word.job')} ${d.job.id} ${d.job.user ?? ''}`)
  if (d.state === 'faulty' && d.health) parts.push(d.health)
  return parts.join(', ')
}

customElements.define('reeve-device-map', DeviceMap)
