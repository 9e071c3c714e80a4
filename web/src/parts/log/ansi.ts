// What terminals understand in a program's output, as far as a page can show it: colours and weight (SGR).
// All other sequences and control characters are left out. Pure: no document, no clock.

export interface Style {
  /** 0..255 of the palette, or RGB | r<<16 | g<<8 | b; null: as the page has it. */
  fg: number | null
  bg: number | null
  flags: number
}

export const PLAIN: Style = { fg: null, bg: null, flags: 0 }
export const RGB = 1 << 24

export const BOLD = 1
export const DIM = 2
export const ITALIC = 4
export const UNDERLINE = 8
export const INVERSE = 16
export const STRIKE = 32
export const HIDDEN = 64

export interface Span {
  text: string
  style: Style
}

// CSI, OSC, DCS and the like, two-character escapes, then what is left of control characters but tab.
// eslint-disable-next-line no-control-regex
const SEQUENCE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\|$)|[PX^_][^\x1b]*(?:\x1b\\|$)|[ -/]+[0-~]|[0-Z\\-~])|\x9b[0-?]*[ -/]*[@-~]|[\0-\x08\x0a-\x1f\x7f]/g

/** Whether there is anything in TEXT for parse() to do. */
export function hasSequences(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if ((c < 32 && c !== 9) || c === 127 || c === 0x9b) return true
  }
  return false
}

/** TEXT as one reads it. */
export function stripped(text: string): string {
  return hasSequences(text) ? text.replace(SEQUENCE, '') : text
}

/** Cuts TEXT where its style changes, beginning with STYLE; END is what the next line begins with. */
export function parse(text: string, style: Style): { spans: Span[]; end: Style } {
  if (!hasSequences(text)) return { spans: text ? [{ text, style }] : [], end: style }
  const spans: Span[] = []
  const add = (part: string) => {
    if (!part) return
    const last = spans.at(-1)
    if (last && last.style === style) last.text += part
    else spans.push({ text: part, style })
  }
  let from = 0
  for (const match of text.matchAll(SEQUENCE)) {
    add(text.slice(from, match.index))
    from = match.index + match[0].length
    if (match[2] === 'm') style = select(style, match[1] ?? '')
  }
  add(text.slice(from))
  return { spans, end: style }
}

const ON: Record<number, number> = { 1: BOLD, 2: DIM, 3: ITALIC, 4: UNDERLINE, 7: INVERSE, 8: HIDDEN, 9: STRIKE, 21: UNDERLINE }
const OFF: Record<number, number> = { 22: BOLD | DIM, 23: ITALIC, 24: UNDERLINE, 27: INVERSE, 28: HIDDEN, 29: STRIKE }

/** Select Graphic Rendition: "1;31", "38;5;208", "38;2;255;0;0", "38:2::255:0:0". */
function select(style: Style, parameters: string): Style {
  const next = { ...style }
  const codes = parameters.split(';')
  for (let i = 0; i < codes.length; i++) {
    const [head = '', ...sub] = codes[i]!.split(':')
    const code = Number(head || 0)
    if (code === 0) Object.assign(next, PLAIN)
    else if (code === 4 && sub[0] === '0') next.flags &= ~UNDERLINE
    else if (ON[code]) next.flags |= ON[code]!
    else if (OFF[code]) next.flags &= ~OFF[code]!
    else if (code >= 30 && code <= 37) next.fg = code - 30
    else if (code >= 90 && code <= 97) next.fg = code - 90 + 8
    else if (code >= 40 && code <= 47) next.bg = code - 40
    else if (code >= 100 && code <= 107) next.bg = code - 100 + 8
    else if (code === 39) next.fg = null
    else if (code === 49) next.bg = null
    else if (code === 38 || code === 48) {
      const [color, used] = sub.length ? [extended(sub.filter((s, n) => s !== '' || n !== 1)), 0] : following(codes, i)
      if (color !== null) next[code === 38 ? 'fg' : 'bg'] = color
      i += used
    }
  }
  return next.fg === style.fg && next.bg === style.bg && next.flags === style.flags ? style : plain(next)
}

const plain = (s: Style) => (s.fg === null && s.bg === null && !s.flags ? PLAIN : s)

function following(codes: string[], i: number): [number | null, number] {
  const used = codes[i + 1] === '5' ? 2 : codes[i + 1] === '2' ? 4 : 0
  return [used ? extended(codes.slice(i + 1, i + 1 + used)) : null, used]
}

/** ["5", n] or ["2", r, g, b] */
function extended(parts: string[]): number | null {
  const n = parts.map(Number)
  const inRange = (v: number | undefined): v is number => v !== undefined && v >= 0 && v <= 255
  if (n[0] === 5 && inRange(n[1])) return n[1]
  if (n[0] === 2 && inRange(n[1]) && inRange(n[2]) && inRange(n[3])) return RGB | (n[1] << 16) | (n[2] << 8) | n[3]
  return null
}
