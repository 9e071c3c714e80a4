import assert from 'node:assert/strict'
import test from 'node:test'
import { BOLD, INVERSE, parse, PLAIN, RGB, stripped } from '../src/parts/log/ansi.ts'
import { contrast, propertiesOf, readable, rgbOf } from '../src/parts/log/colors.ts'
import { cellsOf, Lines, LINE_MOST, overwritten } from '../src/parts/log/lines.ts'
import { marked, Search } from '../src/parts/log/search.ts'

const ESC = '\x1b'
const texts = (lines: Lines) => [...lines.texts()]

test('text without sequences is one span', () => {
  assert.deepEqual(parse('epoch 1 loss 0.5', PLAIN).spans, [{ text: 'epoch 1 loss 0.5', style: PLAIN }])
  assert.deepEqual(parse('', PLAIN).spans, [])
})

test('16 colours, weight and their end', () => {
  const { spans, end } = parse(`a${ESC}[1;31mb${ESC}[22mc${ESC}[0md`, PLAIN)
  assert.deepEqual(spans.map(s => [s.text, s.style.fg, s.style.flags]), [['a', null, 0], ['b', 1, BOLD], ['c', 1, 0], ['d', null, 0]])
  assert.equal(end, PLAIN)
  assert.equal(parse(`${ESC}[97;104mx`, PLAIN).spans[0]!.style.fg, 15)
  assert.equal(parse(`${ESC}[97;104mx`, PLAIN).spans[0]!.style.bg, 12)
})

test('256 and true colours, with semicolons and with colons', () => {
  const fg = (codes: string) => parse(`${ESC}[${codes}mx`, PLAIN).spans[0]!.style.fg
  assert.equal(fg('38;5;208'), 208)
  assert.equal(fg('38;2;1;2;3'), RGB | 0x010203)
  assert.equal(fg('38:2::1:2:3'), RGB | 0x010203)
  assert.equal(fg('38:2:1:2:3'), RGB | 0x010203)
  assert.equal(fg('38:5:9'), 9)
  assert.equal(fg('38;5;999'), null)
  assert.equal(fg('38'), null)
  assert.deepEqual(parse(`${ESC}[38;5;208;1mx`, PLAIN).spans[0]!.style, { fg: 208, bg: null, flags: BOLD })
})

test('a style goes on in the next line until it ends', () => {
  const lines = new Lines()
  lines.add(`${ESC}[32mgreen\nstill\n${ESC}[mnot\n`)
  assert.equal(lines.styleAt(0), PLAIN)
  assert.equal(lines.styleAt(1).fg, 2)
  assert.equal(lines.styleAt(2).fg, 2)
  assert.equal(parse(lines.raw(2), lines.styleAt(2)).spans[0]!.style, PLAIN)
})

test('sequences that are no colours are left out', () => {
  assert.equal(stripped(`${ESC}]0;title\x07a${ESC}[2Kb${ESC}[?25lc${ESC}(Bd\x08\x00e${ESC}`), 'abcde')
  assert.equal(stripped(`${ESC}]8;;http://x${ESC}\\link${ESC}]8;;${ESC}\\`), 'link')
  assert.equal(stripped('tab\there'), 'tab\there')
  assert.equal(stripped('한국어 é 🎉'), '한국어 é 🎉')
})

test('carriage returns overwrite as a terminal does', () => {
  assert.equal(overwritten('10%\r20%\r30%'), '30%')
  assert.equal(overwritten('abcdef\rxy'), 'xycdef')
  assert.equal(overwritten('done\r'), 'done')
  const lines = new Lines()
  lines.add('loading 1%\rload')
  lines.add('ing 99%\r')
  lines.add('\nnext\r\nlast')
  assert.deepEqual(texts(lines), ['loading 99%', 'next', 'last'])
})

test('a progress line that never ends takes no more room', () => {
  const lines = new Lines()
  for (let i = 0; i < 10_000; i++) lines.add(`\rstep ${i} of 10000`)
  assert.deepEqual(texts(lines), ['step 9999 of 10000'])
})

test('lines come whole however the text is cut', () => {
  const lines = new Lines()
  for (const c of 'one\ntwo\r\nthree') lines.add(c)
  assert.deepEqual(texts(lines), ['one', 'two', 'three'])
  assert.equal(lines.count, 3)
  assert.equal(lines.end, 2)
  lines.finish()
  assert.equal(lines.end, 3)
})

test('the oldest are dropped and the others keep their numbers', () => {
  const lines = new Lines(20_000, 1_000_000)
  for (let i = 0; i < 5_000; i++) lines.add(`line ${i}\n`)
  assert.ok(lines.first > 0)
  assert.ok(lines.count < 3_000)
  assert.equal(lines.text(lines.first), `line ${lines.first}`)
  assert.equal(lines.text(lines.end - 1), 'line 4999')
  const few = new Lines(1e9, 1_000)
  few.add('x\n'.repeat(5_000))
  assert.ok(few.count <= 1_000 && few.count > 400)
})

test('a line without end is cut, never within a letter', () => {
  const lines = new Lines()
  lines.add('a' + '🎉'.repeat(LINE_MOST))
  assert.ok(lines.count > 1)
  assert.ok(texts(lines).every(t => t.length <= LINE_MOST && !/[\ud800-\udbff]$/.test(t)))
})

test('rows and lines find each other where lines are wrapped', () => {
  const lines = new Lines()
  for (let i = 0; i < 2_000; i++) lines.add('x'.repeat(i % 30) + '\n')
  lines.add('the open one, which is wrapped as well')
  for (const cols of [0, 7, 10, 80]) {
    let row = 0
    for (let n = lines.first; n < lines.first + lines.count; n++) {
      assert.equal(lines.rowsBefore(n, cols), row)
      assert.equal(lines.lineAt(row, cols), n)
      row += lines.rows(n, cols)
      assert.equal(lines.lineAt(row - 1, cols), n)
    }
    assert.equal(lines.rowsOfAll(cols), row)
  }
  assert.equal(cellsOf('한a\tb'), 9)
  assert.equal(cellsOf('🎉'), 2)
})

test('what is searched is found, counted and gone through, around the end', () => {
  const lines = new Lines()
  lines.add(`Loss 1\n${ESC}[31mlo${ESC}[0mss loss\nnone\nLOSS\n`)
  const search = new Search('loss', lines)
  search.step(() => 0, 1)
  assert.deepEqual(search.lines, [0, 1, 1, 3])
  assert.equal(search.move(1, 1), 1)
  assert.equal(search.current, 1)
  assert.equal(search.currentInLine, 0)
  search.move(1, 0)
  assert.equal(search.currentInLine, 1)
  assert.equal(search.move(1, 0), 3)
  assert.equal(search.move(1, 0), 0)
  assert.equal(search.move(-1, 0), 3)
  lines.add('one more loss\n')
  search.step(() => 0, 1)
  assert.equal(search.lines.length, 5)
})

test('a search is no pattern, and stops when its time is over', () => {
  const lines = new Lines()
  lines.add('a.c (1)\nabc\n'.repeat(1_000))
  const search = new Search('a.c (', lines)
  let time = 0
  search.step(() => time++, 2)
  assert.ok(!search.done)
  while (!search.done) search.step(() => 0, 1)
  assert.equal(search.lines.length, 1_000)
})

test('matches in lines that were dropped are forgotten', () => {
  const lines = new Lines(1e9, 1_024)
  lines.add('x\n'.repeat(1_000))
  const search = new Search('x', lines)
  while (!search.done) search.step(() => 0, 1)
  search.current = 999
  lines.add('x\n'.repeat(100))
  while (!search.done) search.step(() => 0, 1)
  assert.equal(search.lines[0], lines.first)
  assert.equal(search.lines.length, lines.end - lines.first)
  assert.equal(search.lines[search.current], 999)
})

test('marks are laid over colours', () => {
  const { spans } = parse(`ab${ESC}[31mcd${ESC}[0mef`, PLAIN)
  const cut = marked(spans, [{ from: 1, to: 3 }, { from: 5, to: 6 }])
  assert.deepEqual(cut.map(m => [m.text, m.range, m.style.fg]), [['a', -1, null], ['b', 0, null], ['c', 0, 1], ['d', -1, 1], ['e', -1, null], ['f', 1, null]])
  assert.deepEqual(marked(spans, []).map(m => m.text), ['ab', 'cd', 'ef'])
})

test('every colour can be read on both grounds', () => {
  for (const ground of [[255, 255, 255], [26, 29, 26]] as const)
    for (let c = 0; c < 256; c++) assert.ok(contrast(readable(rgbOf(c), ground), ground) >= 4.5, `colour ${c}`)
})

test('an inverse span is readable as well', () => {
  const p = propertiesOf({ fg: null, bg: null, flags: INVERSE }, [255, 255, 255], [20, 20, 20])
  assert.deepEqual(p, { 'background-color': 'rgb(20 20 20)', color: 'rgb(255 255 255)' })
})

test('200,000 lines are read, wrapped and searched in moments', () => {
  const lines = new Lines()
  const chunk = Array.from({ length: 1_000 }, (_, i) => `${ESC}[3${i % 8}mepoch ${i}${ESC}[0m loss 0.${i} accuracy 0.9\n`).join('')
  const began = Date.now()
  for (let i = 0; i < 200; i++) lines.add(chunk)
  assert.equal(lines.count, 200_000)
  assert.ok(lines.rowsOfAll(20) > 200_000)
  const search = new Search('LOSS 0.777', lines)
  while (!search.done) search.step(() => 0, 1)
  assert.equal(search.lines.length, 200)
  assert.ok(Date.now() - began < 5_000)
})
