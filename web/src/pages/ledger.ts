// What happened, as sentences, the newest first: by kind, person, job; what a row holds on opening; the
// chain verified and the decisions made again on request.
import { html, nothing, type TemplateResult } from 'lit'
import * as f from '../format.ts'
import { copyButton } from '../parts/copy.ts'
import { openDialog } from '../parts/dialog.ts'
import { icon } from '../parts/icon.ts'
import { empty, failure, loading, said } from '../parts/notice.ts'
import { Part } from '../parts/part.ts'
import type { Column } from '../parts/rows.ts'
import '../parts/rows.ts'
import { setQuery, to, type Place } from '../router.ts'
import { ask, Problem, url } from '../server/client.ts'
import { Ledger, type Question } from '../server/ledger.ts'
import { Watch } from '../server/resource.ts'
import { session } from '../server/session.ts'
import { devices, nodes } from '../server/shared.ts'
import type { LedgerRow, Replayed, Verified } from '../server/types.ts'
import { t, tCount, tMaybe } from '../texts/index.ts'
import { groups, iconOf, tellRow } from './ledger-words.ts'

/** A row with the plans that led to it. */
interface Line {
  row: LedgerRow
  plans: LedgerRow[]
}

/** Checks read all that there is. */
const PATIENCE_MS = 600_000
/** So near the end of what is there, more is read. */
const NEAR_PX = 1_200

type Check = { what: 'verify' | 'replay'; answer: TemplateResult | null; good: boolean; whole?: boolean }

class LedgerPage extends Part {
  static override properties = { place: { attribute: false } }
  declare place: Place

  private ledger = new Ledger(this)
  private check: Check | null = null

  constructor() {
    super()
    // For the names in the sentences.
    new Watch(this, nodes)
    new Watch(this, devices)
    this.ledger.mayGrow = () => (this.scroller?.scrollTop ?? 0) < 40
  }

  override connectedCallback() {
    super.connectedCallback()
    this.addEventListener('scroll', this.scrolled, true)
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    this.removeEventListener('scroll', this.scrolled, true)
  }

  private get scroller(): HTMLElement | null {
    return this.querySelector('.rows')
  }

  private scrolled = () => {
    const s = this.scroller
    if (!s) return
    if (this.ledger.waiting.length && this.ledger.mayGrow()) this.ledger.grow()
    if (s.scrollTop + s.clientHeight > s.scrollHeight - NEAR_PX && !this.ledger.problem) void this.ledger.older()
  }

  private get question(): Question {
    const q = this.place.query
    const kind = q.get('kind') ?? ''
    return {
      ...(kind ? { kind: groups[kind]?.join(',') ?? kind } : {}),
      ...(q.get('actor') ? { actor: q.get('actor')! } : {}),
      ...(q.get('job') ? { subject: q.get('job')! } : {}),
    }
  }

  override willUpdate() {
    if (session.may('ledger')) this.ledger.ask(this.question)
  }

  override updated() {
    this.scrolled()
  }

  private set(change: Record<string, string>) {
    setQuery({ ...Object.fromEntries(this.place.query), ...change })
  }

  /** Plans stand with the row that came of them, unless they are what is looked for. */
  private lines(): Line[] {
    const rows = this.ledger.rows
    if (this.place.query.get('kind')) return rows.map(row => ({ row, plans: [] }))
    const lines: Line[] = []
    for (const row of rows) {
      const last = lines.at(-1)
      if (row.kind === 'plan' && last) last.plans.push(row)
      else lines.push({ row, plans: [] })
    }
    return lines
  }

  override render() {
    if (!session.may('ledger')) return html`<h1>${t('ledger.title')}</h1>${empty(t('ledger.denied'))}`
    const waiting = this.ledger.waiting.length
    return html`<div class="page-head"><h1>${t('ledger.title')}</h1><p class="quiet">${t('ledger.about')}</p><span class="section-space"></span>
        <button class="button" title=${t('ledger.verify.title')} ?disabled=${this.check?.answer === null} @click=${() => this.verify()}>${t('ledger.verify')}</button>
        <button class="button" title=${t('ledger.replay.title')} ?disabled=${this.check?.answer === null} @click=${() => this.replay(false)}>${t('ledger.replay')}</button></div>
      ${this.checked()} ${this.filters()}
      <div class="ledger-list">
        ${waiting ? html`<button class="button button-main ledger-fresh" @click=${this.showFresh}>${t('ledger.fresh', { n: f.number(waiting) })}</button>` : nothing}
        ${this.list()}
      </div>`
  }

  private showFresh = () => {
    this.scroller?.scrollTo({ top: 0 })
    this.ledger.grow()
    this.querySelector<HTMLElement>('[data-row="0"]')?.focus({ preventScroll: true })
  }

  private filters() {
    const q = this.place.query
    const kind = q.get('kind') ?? ''
    const text = (name: string, label: string, hint: string) =>
      html`<label class="filter"><span>${label}</span><input type="search" autocomplete="off" spellcheck="false" placeholder=${hint} .value=${q.get(name) ?? ''} inputmode=${name === 'job' ? 'numeric' : 'text'}
        @change=${(e: Event) => this.set({ [name]: (e.target as HTMLInputElement).value.trim() })}></label>`
    return html`<div class="filters">
      <label class="filter"><span>${t('ledger.kind')}</span><select @change=${(e: Event) => this.set({ kind: (e.target as HTMLSelectElement).value })}>
        <option value="" ?selected=${!kind}>${t('word.all')}</option>
        ${Object.entries(groups).map(
          ([group, kinds]) => html`<optgroup label=${tMaybe('ledger.group.' + group, group)}>
            <option value=${group} ?selected=${kind === group}>${tMaybe('ledger.group.' + group, group)}</option>
            ${kinds.length > 1 ? kinds.map(k => html`<option value=${k} ?selected=${kind === k}>${k}</option>`) : nothing}
          </optgroup>`,
        )}
      </select></label>
      ${text('actor', t('ledger.person'), t('ledger.person.hint'))} ${text('job', t('ledger.job'), t('ledger.job.hint'))}
    </div>`
  }

  private list() {
    const { ledger } = this
    const lines = this.lines()
    if (!lines.length) {
      if (ledger.problem) return failure(ledger.problem, () => ledger.older())
      return ledger.complete ? empty(t('ledger.none'), html`<a href=${to('ledger')}>${t('ledger.none.next')}</a>`) : loading(8)
    }
    const today = new Date().toDateString()
    const when = (time: string | null) => (time && new Date(time).toDateString() === today ? f.clock(time) : f.moment(time))
    const columns: Column<Line>[] = [
      {
        head: t('ledger.event'),
        width: 'minmax(14rem, 5fr)',
        cell: ({ row }) => {
          const picture = iconOf(row)
          return html`<span class="ledger-icon ${picture.bad ? 'ledger-bad' : ''}">${icon(picture.name)}</span>${tellRow(row)}`
        },
      },
      { head: t('ledger.group.plans'), quietHead: true, width: '5rem', right: true, from: 'm', phone: false, cell: ({ plans }) => (plans.length ? html`<span class="quiet">${tCount('ledger.folded', plans.length)}</span>` : '') },
      { head: t('ledger.time'), width: '8rem', right: true, second: true, cell: ({ row }) => html`<span title=${f.exact(row.time)}>${when(row.time)}</span>` },
      { head: t('ledger.number'), width: '5rem', right: true, second: true, cell: ({ row }) => html`<span class="quiet">${row.seq}</span>` },
    ]
    return html`<reeve-rows class="rows-tall" .fill=${true} .items=${lines} .columns=${columns} .keyOf=${(line: Line) => line.row.seq} .open=${show} .label=${t('ledger.title')}></reeve-rows>
      ${ledger.problem ? failure(ledger.problem, () => ledger.older()) : nothing}`
  }

  private checked() {
    const check = this.check
    if (!check) return nothing
    if (!check.answer) return html`<p class="check-answer" role="status">${icon('clock')}<span>${t(`ledger.${check.what}.running`)}</span></p>`
    return html`<p class="check-answer ${check.good ? 'check-good' : 'check-bad'}" role="status">${icon(check.good ? 'check' : 'alert')}<span>${check.answer}</span>
      ${check.whole ? html`<button class="button button-small" @click=${() => this.replay(true)}>${t('ledger.replay.whole')}</button>` : nothing}
      <button class="plain" aria-label=${t('do.close')} @click=${() => this.show(null)}>${icon('cross')}</button></p>`
  }

  private show(check: Check | null) {
    this.check = check
    this.requestUpdate()
  }

  private async run<T>(what: Check['what'], path: string, told: (answer: T) => Omit<Check, 'what'>) {
    this.show({ what, answer: null, good: false })
    try {
      const { value } = await ask<T>(path, { method: 'POST', body: {}, timeout: PATIENCE_MS })
      this.show({ what, ...told(value as T) })
    } catch (error) {
      this.show({ what, good: false, answer: html`${error instanceof Problem ? said(error) : String(error)}` })
    }
  }

  private verify() {
    return this.run<Verified>('verify', '/api/v1/ledger:verify', v => ({
      good: v.ok,
      answer: v.ok
        ? html`${t('ledger.verify.ok', { n: f.number(v.rows), hash: v.head?.slice(0, 16) ?? '–' })} ${v.erased ? t('ledger.verify.erased', { n: f.number(v.erased) }) : ''}`
        : html`${t('ledger.verify.bad', { seq: v.first_bad ?? '–', detail: v.detail ?? '' })}`,
    }))
  }

  private replay(whole: boolean) {
    return this.run<Replayed>('replay', url('/api/v1/ledger:replay', { from_start: whole ? 'true' : '' }), v => ({
      good: v.identical,
      whole: !!v.began,
      answer: v.identical
        ? html`${t('ledger.replay.ok', { n: f.number(v.plans) })} ${v.began ? t('ledger.replay.began', { seq: f.number(v.began) }) : ''}`
        : html`${t('ledger.replay.bad', { seq: v.first_different ?? '–', detail: v.detail ?? '' })}`,
    }))
  }
}

/** All that a row holds. */
function show({ row, plans }: Line) {
  const fact = (name: string, value: unknown) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`
  openDialog(
    dialog => html`<h2>${tellRow(row)}</h2>
      <dl class="facts facts-list" @click=${(e: Event) => (e.target as HTMLElement).closest('a') && dialog.close()}>
        ${fact(t('ledger.number'), row.seq)} ${fact(t('ledger.time'), f.exact(row.time))} ${fact(t('ledger.kindWord'), html`<code>${row.kind}</code>`)}
        ${fact(t('ledger.person'), row.actor ?? t('ledger.reeve'))} ${row.on_behalf ? fact(t('ledger.behalf'), row.on_behalf) : nothing} ${row.why ? fact(t('word.reason'), row.why) : nothing}
        ${plans.length ? fact(t('ledger.plansBefore'), plans.map(p => html`<div>${p.seq} · ${tellRow(p)}</div>`)) : nothing}
        ${fact(t('ledger.body'), row.body ? html`<pre class="ledger-body" tabindex="0" aria-label=${t('ledger.body')}>${JSON.stringify(row.body, null, 2)}</pre>` : html`<span class="quiet">${t('ledger.erased')}</span>`)}
        ${row.hash ? fact(t('ledger.hash'), html`<code>${row.hash}</code> ${copyButton(row.hash, t('ledger.hash'))}`) : nothing}
      </dl>
      <div class="dialog-buttons"><button class="button button-main" @click=${() => dialog.close()}>${t('do.close')}</button></div>`,
  )
}

customElements.define('reeve-ledger', LedgerPage)
