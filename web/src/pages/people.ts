// For administrators: who there is, which tokens are valid, which nodes are invited.
import { html, nothing, type TemplateResult } from 'lit'
import * as f from '../format.ts'
import { confirm } from '../parts/confirm.ts'
import { icon } from '../parts/icon.ts'
import { empty, failure, loading } from '../parts/notice.ts'
import { Part, Ticking } from '../parts/part.ts'
import type { Column } from '../parts/rows.ts'
import '../parts/rows.ts'
import { userName } from '../parts/state.ts'
import { attempt } from '../parts/toast.ts'
import { setQuery, to, type Place } from '../router.ts'
import { change } from '../server/client.ts'
import { session } from '../server/session.ts'
import type { Enrolment, Time, Token, User } from '../server/types.ts'
import { Whole } from '../server/whole.ts'
import { t, tMaybe } from '../texts/index.ts'
import { addUser, changeUser, invite, newToken } from './people-dialogs.ts'

const TABS = ['users', 'tokens', 'nodes'] as const
type Tab = (typeof TABS)[number]

/** More rows than this scroll by themselves. */
const TALL = 60

const over = (time: Time | undefined) => !!time && Date.parse(time) <= Date.now()

function tokenState(x: Token): 'valid' | 'expired' | 'revoked' {
  return x.revoked_at ? 'revoked' : over(x.expires_at) ? 'expired' : 'valid'
}

const state = (good: boolean, text: string) => html`<span class="state ${good ? 'state-completed' : 'state-cancelled'}">${icon(good ? 'check' : 'dash')}${text}</span>`

const time = (at: Time | undefined) => html`<span title=${f.exact(at)}>${f.moment(at)}</span>`

class People extends Part {
  static override properties = { place: { attribute: false } }
  declare place: Place

  private users = new Whole<User>(this, '/api/v1/users', e => e.kind.startsWith('principal.'), 'admin')
  private tokens = new Whole<Token>(this, '/api/v1/tokens', e => /^(token|principal)\./.test(e.kind), 'admin')
  private enrolments = new Whole<Enrolment>(this, '/api/v1/enrolments', e => /^(enrolment\.|node\.enrolled)/.test(e.kind), 'admin')

  constructor() {
    super()
    new Ticking(this, 15_000)
  }

  private get tab(): Tab {
    return TABS.find(x => x === this.place.id) ?? 'users'
  }

  override render() {
    if (!session.may('admin')) return html`<h1>${t('people.title')}</h1>${empty(t('people.denied'))}`
    const names = (this.users.items ?? []).filter(u => !u.disabled_at).map(u => u.name)
    const buttons: Record<Tab, TemplateResult> = {
      users: html`<button class="button button-main" @click=${() => addUser(() => this.users.refresh())}>${icon('submit')}${t('user.add')}</button>`,
      tokens: html`<button class="button button-main" ?disabled=${!names.length} @click=${() => newToken(names, () => this.tokens.refresh())}>${icon('submit')}${t('token.make')}</button>`,
      nodes: html`<button class="button button-main" @click=${() => invite(() => this.enrolments.refresh())}>${icon('submit')}${t('enrol.make')}</button>`,
    }
    return html`<h1 class="unseen">${t('people.title')}</h1>
      <div class="tabs-head"><nav class="tabs" aria-label=${t('people.tabs')}>
        ${TABS.map(x => html`<a class=${x === this.tab ? 'tab-on' : ''} aria-current=${x === this.tab ? 'page' : nothing} href=${to('people', x === 'users' ? null : x)}>${t(`people.${x}`)}</a>`)}
      </nav>${buttons[this.tab]}</div>
      ${this.tab === 'users' ? this.userRows() : this.tab === 'tokens' ? this.tokenRows() : this.enrolmentRows()}`
  }

  private table<T>(from: Whole<T>, list: T[] | undefined, columns: Column<T>[], keyOf: (item: T) => string | number, label: string, none: unknown, open?: (item: T) => void) {
    if (!list) return from.problem ? failure(from.problem, () => from.refresh()) : loading(5)
    if (!list.length) return none
    const tall = list.length > TALL
    return html`<reeve-rows class=${tall ? 'rows-tall' : ''} .fill=${tall} .items=${list} .columns=${columns} .keyOf=${keyOf} .open=${open} .label=${label}></reeve-rows>`
  }

  private userRows() {
    const open = (u: User) => changeUser(u, () => this.users.refresh())
    const columns: Column<User>[] = [
      { head: t('user.name'), width: 'minmax(8rem, 1.5fr)', cell: u => html`<span class="strong">${userName(u.name, session.me?.user)}</span>` },
      { head: t('user.role'), width: 'minmax(6rem, 1fr)', second: true, cell: u => tMaybe('role.' + u.role, u.role) },
      { head: t('word.team'), width: 'minmax(6rem, 1fr)', second: true, cell: u => u.team ?? html`<span class="quiet">–</span>` },
      { head: t('user.created'), width: 'minmax(7rem, 1fr)', from: 'm', phone: false, cell: u => time(u.created_at) },
      { head: t('word.state'), width: 'minmax(6rem, 1fr)', second: true, cell: u => (u.disabled_at ? state(false, t('user.disabled')) : state(true, t('user.active'))) },
      { head: t('user.change'), quietHead: true, width: '6rem', right: true, cell: u => html`<button class="button button-small" aria-label="${t('user.change')}: ${u.name}" @click=${() => open(u)}>${t('user.change')}</button>` },
    ]
    const list = this.users.items ? [...this.users.items].sort((a, b) => Number(!!a.disabled_at) - Number(!!b.disabled_at)) : undefined
    return this.table(this.users, list, columns, u => u.name, t('people.users'), nothing, open)
  }

  private async revoke(x: Token) {
    if (!(await confirm(t('token.revoke.ask', { id: x.id, user: x.user }), t('token.revoke.what'), t('token.revoke')))) return
    await attempt(() => change('DELETE', `/api/v1/tokens/${x.id}`), t('token.revoke.done', { id: x.id }))
    this.tokens.refresh()
  }

  private tokenRows() {
    const q = this.place.query
    const user = q.get('user') ?? ''
    const all = q.get('show') === 'all'
    const users = [...new Set((this.tokens.items ?? []).map(x => x.user))].sort()
    const list = this.tokens.items?.filter(x => (!user || x.user === user) && (all || tokenState(x) === 'valid')).reverse()
    const columns: Column<Token>[] = [
      { head: '#', width: '3.5rem', right: true, from: 'm', phone: false, cell: x => html`<span class="quiet">${x.id}</span>` },
      { head: t('word.user'), width: 'minmax(6rem, 1fr)', cell: x => html`<span class="strong">${x.user}</span>` },
      { head: t('token.kind'), width: 'minmax(5rem, .8fr)', second: true, cell: x => tMaybe('token.kind.' + (x.kind ?? 'token'), x.kind ?? '') },
      { head: t('token.name'), width: 'minmax(7rem, 1.2fr)', second: true, cell: x => html`<span title=${x.name ?? ''}>${x.name ?? html`<span class="quiet">–</span>`}</span>` },
      { head: t('token.created'), width: 'minmax(7rem, 1fr)', from: 'm', phone: false, cell: x => time(x.created_at) },
      { head: t('token.ends'), width: 'minmax(7rem, 1fr)', from: 'm', phone: false, cell: x => (x.expires_at ? time(x.expires_at) : html`<span class="quiet">${t('token.ends.never')}</span>`) },
      { head: t('word.state'), width: 'minmax(7.5rem, 1fr)', second: true, cell: x => html`<span title=${f.exact(x.revoked_at)}>${state(tokenState(x) === 'valid', t(`token.state.${tokenState(x)}`))}</span>` },
      { head: t('token.revoke'), quietHead: true, width: '6rem', right: true, cell: x => (tokenState(x) === 'valid' ? html`<button class="button button-small" aria-label="${t('token.revoke')}: ${x.id}" @click=${() => this.revoke(x)}>${t('token.revoke')}</button>` : nothing) },
    ]
    const set = (change: Record<string, string>) => setQuery({ ...Object.fromEntries(q), ...change })
    const none = empty(t('token.none'), html`<a href=${to('people', 'tokens', { show: 'all' })}>${t('do.showAll')}</a>`)
    return html`<div class="filters">
        <label class="filter"><span>${t('word.user')}</span><select @change=${(e: Event) => set({ user: (e.target as HTMLSelectElement).value })}>
          <option value="">${t('word.all')}</option>${users.map(u => html`<option value=${u} ?selected=${u === user}>${u}</option>`)}</select></label>
        <label class="filter"><span>${t('token.show')}</span><select @change=${(e: Event) => set({ show: (e.target as HTMLSelectElement).value })}>
          <option value="" ?selected=${!all}>${t('token.show.valid')}</option><option value="all" ?selected=${all}>${t('word.all')}</option></select></label>
      </div>
      ${this.table(this.tokens, list, columns, x => x.id, t('people.tokens'), none)}`
  }

  private enrolmentRows() {
    const stateOf = (x: Enrolment) => (x.used_at ? 'used' : over(x.expires_at) ? 'expired' : 'waiting')
    const columns: Column<Enrolment>[] = [
      { head: '#', width: '3.5rem', right: true, from: 'm', phone: false, cell: x => html`<span class="quiet">${x.id}</span>` },
      { head: t('word.node'), width: 'minmax(8rem, 1.2fr)', cell: x => (x.node ? html`<span class="strong">${x.node}</span>` : html`<span class="quiet">${t('enrol.any')}</span>`) },
      { head: t('word.state'), width: 'minmax(8rem, 1fr)', cell: x => state(stateOf(x) !== 'expired', t(`enrol.state.${stateOf(x)}`)) },
      { head: t('token.created'), width: 'minmax(7rem, 1fr)', second: true, cell: x => time(x.created_at) },
      { head: t('token.ends'), width: 'minmax(7rem, 1fr)', from: 'm', phone: false, cell: x => time(x.expires_at) },
      { head: t('enrol.used'), width: 'minmax(7rem, 1fr)', from: 'm', phone: false, cell: x => time(x.used_at) },
    ]
    const list = this.enrolments.items ? [...this.enrolments.items].reverse() : undefined
    return this.table(this.enrolments, list, columns, x => x.id, t('people.nodes'), empty(t('enrol.none')))
  }
}

customElements.define('reeve-people', People)
