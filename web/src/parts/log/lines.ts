// The lines of a log, as far back as memory allows: text goes in as it comes, lines are asked for by their
// number, which stays the same when the oldest are dropped. Pure: no document, no clock.
import { parse, PLAIN, stripped, type Style } from './ansi.ts'

export const CHARS_MOST = 32 * 1024 * 1024
/** Beyond this many the page would be higher than browsers can scroll. */
export const LINES_MOST = 500_000
/** Longer lines go on in the next one. */
export const LINE_MOST = 4_096
const BLOCK = 512

interface Block {
  texts: string[]
  /** With what each begins where that is not plain. */
  styles: Map<number, Style>
  /** How many columns each takes. */
  cells: number[]
  chars: number
  cols: number
  rows: number
}

const newBlock = (): Block => ({ texts: [], styles: new Map(), cells: [], chars: 0, cols: 0, rows: 0 })

/** Columns that TEXT takes, roughly: East Asian letters take two, tabs go on to the next eighth. */
export function cellsOf(text: string): number {
  let cells = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 9) cells += 8 - (cells % 8)
    else if (c < 0x1100) cells += 1
    else if (c >= 0xdc00 && c <= 0xdfff) cells += 0
    else cells += c <= 0x115f || (c >= 0x2e80 && c <= 0xd7ff) || (c >= 0xd800 && c <= 0xdbff) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0xff00 && c <= 0xff60) ? 2 : 1
  }
  return cells
}

/** What a terminal shows of a line with carriage returns: each goes back and overwrites. */
export function overwritten(text: string): string {
  if (!text.includes('\r')) return text
  let shown = ''
  for (const part of text.split('\r')) {
    const colored = part.includes('\x1b') || shown.includes('\x1b')
    if (part) shown = colored ? part : part + shown.slice(part.length)
  }
  return shown
}

/** The same for a line that goes on: what was overwritten is gone, where it goes on is kept. */
export function compacted(text: string): string {
  const back = text.lastIndexOf('\r')
  if (back <= 0) return text
  const rest = text.slice(back)
  const shown = overwritten(text.slice(0, back))
  return rest.length > shown.length && !shown.includes('\x1b') ? rest : shown + rest
}

export class Lines {
  /** Number of the oldest line that is there; the first of all is 0. */
  first = 0
  /** One behind the newest whole line. */
  end = 0
  /** Columns of the widest line so far. */
  widest = 0
  private blocks: Block[] = [newBlock()]
  private chars = 0
  /** The line that has not ended. */
  private open = ''
  private style: Style = PLAIN

  constructor(
    private readonly charsMost = CHARS_MOST,
    private readonly linesMost = LINES_MOST,
  ) {}

  /** All there are, with the one that has not ended. */
  get count(): number {
    return this.end + (this.open ? 1 : 0) - this.first
  }

  add(text: string) {
    let from = 0
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      this.grow(text.slice(from, at))
      this.push(this.open)
      this.open = ''
      from = at + 1
    }
    this.grow(text.slice(from))
  }

  /** What came last is a line, though it has no end. */
  finish() {
    if (!this.open) return
    this.push(this.open)
    this.open = ''
  }

  private grow(text: string) {
    this.open = compacted(this.open + text)
    while (this.open.length > 2 * LINE_MOST || (this.open.length > LINE_MOST && !this.open.includes('\r'))) {
      const high = this.open.charCodeAt(LINE_MOST - 1)
      const cut = high >= 0xd800 && high <= 0xdbff ? LINE_MOST - 1 : LINE_MOST
      this.push(this.open.slice(0, cut))
      this.open = this.open.slice(cut)
    }
  }

  private push(raw: string) {
    const text = overwritten(raw)
    let block = this.blocks.at(-1)!
    if (block.texts.length === BLOCK) this.blocks.push((block = newBlock()))
    if (this.style !== PLAIN) block.styles.set(block.texts.length, this.style)
    if (text.includes('\x1b')) this.style = parse(text, this.style).end
    const cells = cellsOf(stripped(text))
    block.texts.push(text)
    block.cells.push(cells)
    block.chars += text.length
    block.cols = 0
    this.chars += text.length
    this.end++
    if (cells > this.widest) this.widest = cells
    while (this.blocks.length > 1 && (this.chars > this.charsMost || this.end - this.first > this.linesMost)) this.drop()
  }

  private drop() {
    const block = this.blocks.shift()!
    this.chars -= block.chars
    this.first += block.texts.length
  }

  private at(n: number): [Block, number] {
    const i = n - this.first
    return [this.blocks[Math.floor(i / BLOCK)]!, i % BLOCK]
  }

  /** Line N as it came, first <= N < first + count. */
  raw(n: number): string {
    if (n === this.end) return overwritten(this.open)
    const [block, i] = this.at(n)
    return block.texts[i]!
  }

  /** As one reads it. */
  text(n: number): string {
    return stripped(this.raw(n))
  }

  styleAt(n: number): Style {
    if (n === this.end) return this.style
    const [block, i] = this.at(n)
    return block.styles.get(i) ?? PLAIN
  }

  /** How many rows line N takes where COLS columns are there; 0: it is not wrapped. */
  rows(n: number, cols: number): number {
    if (!cols) return 1
    const cells = n === this.end ? cellsOf(this.text(n)) : this.at(n)[0].cells[this.at(n)[1]]!
    return rowsOf(cells, cols)
  }

  private blockRows(block: Block, cols: number): number {
    if (!cols) return block.texts.length
    if (block.cols !== cols) {
      block.rows = 0
      for (const cells of block.cells) block.rows += rowsOf(cells, cols)
      block.cols = cols
    }
    return block.rows
  }

  /** Rows of all lines before N. */
  rowsBefore(n: number, cols: number): number {
    if (!cols) return n - this.first
    let rows = 0
    let at = this.first
    for (const block of this.blocks) {
      if (at + block.texts.length > n) break
      rows += this.blockRows(block, cols)
      at += block.texts.length
    }
    for (; at < n; at++) rows += this.rows(at, cols)
    return rows
  }

  rowsOfAll(cols: number): number {
    return this.rowsBefore(this.first + this.count, cols)
  }

  /** The line that row ROW belongs to. */
  lineAt(row: number, cols: number): number {
    const last = this.first + Math.max(0, this.count - 1)
    if (!cols) return Math.max(this.first, Math.min(last, this.first + row))
    let at = this.first
    for (const block of this.blocks) {
      const rows = this.blockRows(block, cols)
      if (row < rows) break
      row -= rows
      at += block.texts.length
    }
    for (; at < last; at++) {
      row -= this.rows(at, cols)
      if (row < 0) break
    }
    return Math.max(this.first, Math.min(last, at))
  }

  /** All of it, as one reads it. */
  *texts(): Generator<string> {
    for (let n = this.first; n < this.first + this.count; n++) yield this.text(n)
  }
}

const rowsOf = (cells: number, cols: number) => Math.max(1, Math.ceil(cells / cols))
