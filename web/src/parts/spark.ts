// The last hour as a line of a few pixels, on a canvas of its own: thousands of them cost little.
import { html } from 'lit'
import { Part, Watched } from './part.ts'

export class Spark extends Part {
  static override properties = {
    values: { attribute: false },
    max: { type: Number },
    label: { type: String },
  }

  declare values: (number | null)[] | undefined
  declare max: number | undefined
  declare label: string

  constructor() {
    super()
    new Watched(this, () => this.draw(), () => this.draw())
  }

  override render() {
    return html`<canvas role="img" aria-label=${this.label}></canvas>`
  }

  override updated() {
    this.draw()
  }

  private draw() {
    const canvas = this.querySelector('canvas')
    const values = this.values
    if (!canvas) return
    const scale = window.devicePixelRatio || 1
    const w = canvas.clientWidth
    const h = canvas.clientHeight
    if (!w || !h) return
    if (canvas.width !== Math.round(w * scale)) canvas.width = Math.round(w * scale)
    if (canvas.height !== Math.round(h * scale)) canvas.height = Math.round(h * scale)
    const g = canvas.getContext('2d')!
    g.setTransform(scale, 0, 0, scale, 0, 0)
    g.clearRect(0, 0, w, h)
    const style = getComputedStyle(this)
    g.strokeStyle = style.getPropertyValue('--line')
    g.lineWidth = 1
    g.beginPath()
    g.moveTo(0, h - 0.5)
    g.lineTo(w, h - 0.5)
    g.stroke()
    if (!values || values.length < 2) return
    const top = this.max ?? Math.max(1, ...values.map(v => v ?? 0))
    const x = (i: number) => (i / (values.length - 1)) * w
    const y = (v: number) => h - 1.5 - (Math.min(v, top) / top) * (h - 3)
    g.strokeStyle = g.fillStyle = style.color
    g.lineWidth = 1.25
    g.lineJoin = 'round'
    for (let i = 0; i < values.length; ) {
      while (i < values.length && values[i] == null) i++
      const from = i
      while (i < values.length && values[i] != null) i++
      if (from === i) break
      g.beginPath()
      for (let j = from; j < i; j++) g.lineTo(x(j), y(values[j]!))
      if (i - from === 1) g.lineTo(x(from) + 1, y(values[from]!))
      g.stroke()
      g.lineTo(x(i - 1), h)
      g.lineTo(x(from), h)
      g.globalAlpha = 0.13
      g.fill()
      g.globalAlpha = 1
    }
  }
}

customElements.define('reeve-spark', Spark)
