// Every word of the page, in both languages, from the tables beside this file: { key: [English, Korean] }.
// A missing one does not compile; what is used and unused is a test.
import { overview } from './overview.ts'
import { fleet } from './fleet.ts'
import { frame } from './frame.ts'
import { job } from './job.ts'
import { jobs } from './jobs.ts'
import { ledger } from './ledger.ts'
import { people } from './people.ts'
import { submit } from './submit.ts'
import { words } from './words.ts'

const table = { ...words, ...frame, ...overview, ...fleet, ...submit, ...people, ...jobs, ...ledger, ...job } satisfies Texts

export type Texts = Record<string, readonly [en: string, ko: string]>
export type TextKey = keyof typeof table
export type Language = 'en' | 'ko'

const KEY = 'reeve.language'

function choose(): Language {
  const asked = new URLSearchParams(location.search).get('lang') ?? localStorage.getItem(KEY)
  if (asked === 'ko' || asked === 'en') return asked
  return navigator.languages.find(l => /^(ko|en)\b/.test(l))?.startsWith('ko') ? 'ko' : 'en'
}

export const language: Language = choose()
const column = language === 'ko' ? 1 : 0

/** The text of KEY with {name} replaced. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  return table[key][column].replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole))
}

/** The text of a key made at run time (a state, an event, a code), else OTHERWISE. */
export function tMaybe(key: string, otherwise: string): string {
  return key in table ? t(key as TextKey) : otherwise
}

/** Like t(), for counts: KEY.one where it is one and the language tells them apart. */
export function tCount(key: string, n: number, values: Record<string, string | number> = {}): string {
  const chosen = n === 1 && `${key}.one` in table ? `${key}.one` : key
  return t(chosen as TextKey, { n: n.toLocaleString(language), ...values })
}

/** Another language from now on: everything is drawn anew. */
export function setLanguage(to: Language) {
  localStorage.setItem(KEY, to)
  const here = new URL(location.href)
  here.searchParams.delete('lang')
  history.replaceState(null, '', here)
  location.reload()
}
