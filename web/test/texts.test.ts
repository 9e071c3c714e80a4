import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import test from 'node:test'

// The tables are read as text: importing them would ask the browser for its language.
function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(e => (e.isDirectory() ? files(`${folder}/${e.name}`) : e.name.endsWith('.ts') ? [`${folder}/${e.name}`] : []))
}

const all = files(SOURCES).map(name => ({ name, text: readFileSync(name, 'utf8') }))
const tables = all.filter(f => f.name.includes('/texts/') && !f.name.endsWith('/index.ts'))
const code = all.filter(f => !tables.includes(f)).map(f => f.text).join('\n')

const STRING = String.raw`'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"`
const ENTRY = new RegExp(String.raw`^  '([\w.:-]+)':\s*\[\s*(?:${STRING}),\s*(?:${STRING}),?\s*\],?$`, 'gm')

const texts = new Map<string, [string, string]>()
const twice: string[] = []
for (const { text } of tables)
  for (const m of text.matchAll(ENTRY)) {
    if (texts.has(m[1]!)) twice.push(m[1]!)
    texts.set(m[1]!, [m[2] ?? m[3] ?? '', m[4] ?? m[5] ?? ''])
  }

/** English may begin a sentence with {Job} where Korean has {job}. */
const places = (text: string) => [...new Set(text.toLowerCase().match(/\{\w+\}/g) ?? [])].sort()

test('every entry of the tables is read, and none stands twice', () => {
  const keys = tables.reduce((n, f) => n + (f.text.match(/^  '[\w.:-]+':/gm)?.length ?? 0), 0)
  assert.ok(texts.size > 200)
  assert.deepEqual(twice, [])
  assert.equal(texts.size, keys)
})

test('both languages say something, and fill in the same', () => {
  for (const [key, [en, ko]] of texts) {
    assert.ok(en && ko, key)
    assert.deepEqual(places(ko), places(en), key)
  }
})

test('Korean is Korean', () => {
  const same = new Set([...texts].filter(([, [en, ko]]) => en === ko).map(([key]) => key))
  // Names, units and signs are the same in both.
  for (const key of same) assert.ok(!/[a-z]{3,} [a-z]{3,}/.test(texts.get(key)![0]), key)
})

/** Keys in the sources: whole ones, and the beginnings and ends of those made at run time. */
const whole = new Set([...code.matchAll(/['"`]([\w-]+(?:\.[\w-]+)+)['"`]/g)].map(m => m[1]!))
const made = [...code.matchAll(/`([\w.-]*)\$\{[^`]*?\}([\w.-]*)`/g), ...code.matchAll(/'([\w-]+(?:\.[\w-]+)*\.)' \+()/g)]
  .map(m => [m[1]!, m[2]!] as const)
  .filter(([head]) => head.includes('.'))

const used = (key: string): boolean =>
  whole.has(key) || (key.endsWith('.one') && used(key.slice(0, -4))) || made.some(([head, tail]) => key.startsWith(head) && key.endsWith(tail) && key.length > head.length + tail.length)

test('every text is used', () => {
  assert.deepEqual([...texts.keys()].filter(key => !used(key)), [])
})

test('every text that is used is there', () => {
  const asked = [...code.matchAll(/\bt(?:Count)?\('([^']+)'/g)].map(m => m[1]!)
  assert.ok(asked.length > 200)
  assert.deepEqual([...new Set(asked)].filter(key => !texts.has(key)), [])
})
