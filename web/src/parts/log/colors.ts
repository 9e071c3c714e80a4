// Colours of a program's output, made readable on the page's own background: the hue stays, the lightness
// gives way until the contrast is 4.5 : 1.
import { BOLD, DIM, HIDDEN, INVERSE, ITALIC, RGB, STRIKE, UNDERLINE, type Style } from './ansi.ts'

type Rgb = readonly [number, number, number]

const NAMED: Rgb[] = [
  [0, 0, 0], [205, 49, 49], [13, 140, 80], [160, 120, 0], [36, 114, 200], [160, 60, 170], [10, 130, 150], [190, 190, 190],
  [110, 110, 110], [225, 70, 70], [30, 170, 100], [200, 150, 0], [60, 140, 235], [190, 90, 200], [30, 160, 180], [255, 255, 255],
]
const STEPS = [0, 95, 135, 175, 215, 255]

/** Of the palette of 256, or of RGB. */
export function rgbOf(color: number): Rgb {
  if (color >= RGB) return [(color >> 16) & 255, (color >> 8) & 255, color & 255]
  if (color < 16) return NAMED[color]!
  if (color >= 232) return [8 + (color - 232) * 10, 8 + (color - 232) * 10, 8 + (color - 232) * 10]
  const n = color - 16
  return [STEPS[Math.floor(n / 36)]!, STEPS[Math.floor(n / 6) % 6]!, STEPS[n % 6]!]
}

function luminance(c: Rgb): number {
  const [r, g, b] = c.map(v => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number]
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

export function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [luminance(a), luminance(b)]
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05)
}

const ENOUGH = 4.5

/** COLOR mixed with white or black, whichever is further from GROUND, as little as it takes. */
export function readable(color: Rgb, ground: Rgb): Rgb {
  const pole = luminance(ground) > 0.18 ? 0 : 255
  for (let share = 0; share < 1; share += 0.05) {
    const mixed = color.map(v => Math.round(v + (pole - v) * share)) as unknown as Rgb
    if (contrast(mixed, ground) >= ENOUGH) return mixed
  }
  return [pole, pole, pole]
}

const text = (c: Rgb) => `rgb(${c.join(' ')})`

/** Properties of the style of a span on GROUND, which the page draws TEXT on by itself. */
export function propertiesOf(s: Style, ground: Rgb, ink: Rgb): Record<string, string> {
  const all: Record<string, string> = {}
  let fg = s.fg === null ? null : rgbOf(s.fg)
  let bg = s.bg === null ? null : rgbOf(s.bg)
  if (s.flags & INVERSE) [fg, bg] = [bg ?? ground, fg ?? ink]
  if (bg) all['background-color'] = text(bg)
  if (fg || bg) all['color'] = text(readable(fg ?? ink, bg ?? ground))
  if (s.flags & BOLD) all['font-weight'] = '700'
  if (s.flags & DIM && !bg) all['color'] = text(readable(mix(fg ?? ink, ground), ground))
  if (s.flags & ITALIC) all['font-style'] = 'italic'
  const lines = [s.flags & UNDERLINE ? 'underline' : '', s.flags & STRIKE ? 'line-through' : ''].join(' ').trim()
  if (lines) all['text-decoration'] = lines
  if (s.flags & HIDDEN) all['color'] = 'transparent'
  return all
}

const mix = (a: Rgb, b: Rgb): Rgb => a.map((v, i) => Math.round((v + b[i]!) / 2)) as unknown as Rgb

const rgbIn = (css: string): Rgb => (css.match(/\d+/g) ?? ['0', '0', '0']).slice(0, 3).map(Number) as unknown as Rgb

/** The colours of one ground, each worked out once. GROUND and INK as the browser writes colours. */
export class Palette {
  private known = new Map<string, Record<string, string>>()
  private ground: Rgb
  private ink: Rgb

  constructor(ground: string, ink: string) {
    this.ground = rgbIn(ground)
    this.ink = rgbIn(ink)
  }

  of(style: Style): Record<string, string> {
    const key = `${style.fg}/${style.bg}/${style.flags}`
    let properties = this.known.get(key)
    if (!properties) {
      if (this.known.size > 4_096) this.known.clear()
      this.known.set(key, (properties = propertiesOf(style, this.ground, this.ink)))
    }
    return properties
  }
}
