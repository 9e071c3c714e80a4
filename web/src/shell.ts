// A command line as people type it: words, quotes and backslashes of a shell, and nothing else of one.

export interface Parsed {
  words: string[]
  /** Ends inside a quote or behind a backslash. */
  open: boolean
  /** Something unquoted that a shell would have acted on: a pipe, a variable, a pattern. */
  shell: string | null
}

const BLANK = /\s/
const ACTS = /[|&;<>()$`*?~]/

export function parse(line: string): Parsed {
  const words: string[] = []
  let word: string | null = null
  let quote: "'" | '"' | null = null
  let shell: string | null = null
  let i = 0
  for (; i < line.length; i++) {
    const c = line[i]!
    if (quote === "'") {
      if (c === "'") quote = null
      else word += c
    } else if (c === '\\') {
      const next = line[++i]
      if (next === undefined) return { words, open: true, shell }
      // A backslash and a new line are nothing: a long command goes on.
      if (next !== '\n') word = (word ?? '') + (quote && !/["\\$`]/.test(next) ? '\\' + next : next)
    } else if (quote === '"') {
      if (c === '"') quote = null
      else word += c
      if (c === '$' || c === '`') shell ??= c
    } else if (c === "'" || c === '"') {
      quote = c
      word ??= ''
    } else if (BLANK.test(c)) {
      if (word !== null) words.push(word)
      word = null
    } else {
      // `~` means something only at the beginning of a word.
      if (!shell && ACTS.test(c) && (c !== '~' || word === null)) shell = c
      word = (word ?? '') + c
    }
  }
  if (word !== null) words.push(word)
  return { words, open: quote !== null, shell }
}

/** WORD so that a shell reads it as it is. */
export function quote(word: string): string {
  return /^[\w@%+=:./{}-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

export function join(words: string[]): string {
  return words.map(quote).join(' ')
}
