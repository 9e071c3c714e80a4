// Figures for people: with their unit, in few digits, in the language of the page.
import { language, t } from './texts/index.ts'

const NONE = '–'

/** A non-breaking narrow space stands between a number and its unit. */
const gap = ' '

const digitsOf = (v: number) => (v === 0 || v >= 100 ? 0 : v >= 10 ? 1 : 2)

/** Making a formatter costs a hundred times what using it does, and lists have thousands of figures. */
const formatters = new Map<number, Intl.NumberFormat>()

function written(v: number, least: number, most: number): string {
  const key = least * 32 + most
  let formatter = formatters.get(key)
  if (!formatter) formatters.set(key, (formatter = new Intl.NumberFormat(language, { minimumFractionDigits: least, maximumFractionDigits: most })))
  return formatter.format(v)
}

export function number(v: number | null | undefined, digits = 0): string {
  if (v === null || v === undefined) return NONE
  return written(v, digits, digits)
}

function scaled(v: number, units: readonly (readonly [number, string])[]): string {
  const [size, name] = units.find(([s]) => v >= s) ?? units[units.length - 1]!
  const shown = v / size
  return written(shown, 0, digitsOf(shown)) + gap + name
}

const SPANS = language === 'ko' ? { d: '일', h: '시간', m: '분', s: '초' } : { d: 'd', h: 'h', m: 'min', s: 's' }

/** 850 ms, 12.3 s, 4 min 10 s, 3 h 12 min, 2 d 4 h */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return NONE
  if (ms < 1_000) return number(ms, ms === 0 || ms >= 10 ? 0 : ms >= 1 ? 1 : 2) + gap + 'ms'
  const s = ms / 1_000
  if (s < 60) return number(s, s < 10 ? 1 : 0) + gap + SPANS.s
  const two = (a: number, an: string, b: number, bn: string) => number(a) + gap + an + (b ? ' ' + number(b) + gap + bn : '')
  const whole = Math.floor(s)
  if (whole < 3_600) return two(Math.floor(whole / 60), SPANS.m, whole % 60, SPANS.s)
  if (whole < 86_400) return two(Math.floor(whole / 3_600), SPANS.h, Math.floor((whole % 3_600) / 60), SPANS.m)
  return two(Math.floor(whole / 86_400), SPANS.d, Math.floor((whole % 86_400) / 3_600), SPANS.h)
}

/** The same in one unit, for "ago" and tight places. */
export function roughly(ms: number): string {
  const s = Math.max(0, ms) / 1_000
  const [n, unit] = s < 60 ? [s, SPANS.s] : s < 3_600 ? [s / 60, SPANS.m] : s < 86_400 ? [s / 3_600, SPANS.h] : [s / 86_400, SPANS.d]
  return number(Math.floor(n)) + gap + unit
}

export function mebibytes(v: number | null | undefined): string {
  if (v === null || v === undefined) return NONE
  return scaled(v, [
    [1024 * 1024, 'TiB'],
    [1024, 'GiB'],
    [1, 'MiB'],
  ])
}

/** 3 / 10 GiB: both in the unit of the whole. */
export function mebibytesOf(used: number | null | undefined, total: number | null | undefined): string {
  if (total === null || total === undefined) return mebibytes(used)
  const [size, unit] = total >= 1024 ? [1024, 'GiB'] : [1, 'MiB']
  const digits = size === 1 ? 0 : 1
  const part = used === null || used === undefined ? NONE : number(used / size, digits)
  return `${part} / ${written(total / size, 0, digits)}${gap}${unit}`
}

export function bytes(v: number | null | undefined): string {
  if (v === null || v === undefined) return NONE
  return scaled(v, [
    [1024 ** 3, 'GiB'],
    [1024 ** 2, 'MiB'],
    [1024, 'KiB'],
    [1, 'B'],
  ])
}

export function percent(v: number | null | undefined, digits = 0): string {
  return v === null || v === undefined ? NONE : number(v, digits) + gap + '%'
}

export function watts(v: number | null | undefined): string {
  return v === null || v === undefined ? NONE : number(v) + gap + 'W'
}

export function celsius(v: number | null | undefined): string {
  return v === null || v === undefined ? NONE : number(v) + gap + '°C'
}

/** Joules until they are too many to tell, then watt-hours. */
export function energy(joules: number | null | undefined): string {
  if (joules === null || joules === undefined) return NONE
  if (joules < 36_000)
    return scaled(joules, [
      [1_000, 'kJ'],
      [1, 'J'],
    ])
  return scaled(joules / 3_600, [
    [1e6, 'MWh'],
    [1e3, 'kWh'],
    [1, 'Wh'],
  ])
}

/** Millionths of CURRENCY; a small amount keeps the digits that say something. */
export function money(micros: number | null | undefined, currency: string | undefined): string {
  if (micros === null || micros === undefined) return NONE
  const v = micros / 1e6
  const digits = v === 0 || Math.abs(v) >= 1 ? 2 : Math.abs(v) >= 0.1 ? 3 : Math.abs(v) >= 0.0001 ? 4 : 6
  return written(v, digits, digits) + gap + (currency ?? '')
}

const dayTime = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false })
const fullTime = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'long', hour12: false })
const clockTime = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })

/** Nov 25, 14:03 */
export function moment(time: string | null | undefined): string {
  return time ? dayTime.format(new Date(time)) : NONE
}

/** The whole of it, with the zone: for titles. */
export function exact(time: string | null | undefined): string {
  return time ? fullTime.format(new Date(time)) : ''
}

/** 14:03:12 */
export function clock(time: string | null | undefined): string {
  return time ? clockTime.format(new Date(time)) : NONE
}

export function ago(time: string | null | undefined): string {
  if (!time) return NONE
  const ms = Date.now() - Date.parse(time)
  if (Math.abs(ms) < 1_000) return t('unit.now')
  return ms > 0 ? t('unit.ago', { time: roughly(ms) }) : t('unit.in', { time: roughly(-ms) })
}

/** A sentence of the server with its times as one reads them here. */
export function sentence(text: string | null | undefined): string {
  return (text ?? '').replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, moment)
}

/** Milliseconds since TIME. */
export function since(time: string | null | undefined): number | null {
  return time ? Math.max(0, Date.now() - Date.parse(time)) : null
}

/** "NVIDIA GeForce RTX 3080" is "RTX 3080" to everybody. */
export function model(name: string | null | undefined): string {
  return name ? name.replace(/^NVIDIA\s+(GeForce\s+)?/, '') : NONE
}
