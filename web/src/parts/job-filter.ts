// Which jobs of a list: kept in the address, so that it can be sent to somebody and gone back to.
import { html, nothing } from 'lit'
import { setQuery } from '../router.ts'
import { t } from '../texts/index.ts'
import { icon } from './icon.ts'
import { Part } from './part.ts'

const TYPING_MS = 250

export interface Choice {
  value: string
  text: string
}

export class JobFilter extends Part {
  static override properties = {
    query: { attribute: false },
    users: { attribute: false },
    teams: { attribute: false },
    states: { attribute: false },
    labels: { type: Boolean },
  }

  /** What stands in the address. */
  declare query: URLSearchParams
  /** Names to choose from; others can be typed. */
  declare users: string[]
  declare teams: string[]
  declare states: Choice[]
  /** Whether one can ask for a label. */
  declare labels: boolean
  private timer: number | undefined

  constructor() {
    super()
    this.query = new URLSearchParams()
    this.users = []
    this.teams = []
    this.states = []
    this.labels = false
  }

  private get fields(): NodeListOf<HTMLInputElement | HTMLSelectElement> {
    return this.querySelectorAll('input, select')
  }

  private write = () => {
    clearTimeout(this.timer)
    const query = Object.fromEntries(this.query)
    for (const field of this.fields) query[field.name] = field.value.trim()
    setQuery(query)
  }

  private typed() {
    clearTimeout(this.timer)
    this.timer = window.setTimeout(this.write, TYPING_MS)
  }

  private clear() {
    for (const field of this.fields) field.value = ''
    this.write()
    this.querySelector('input')?.focus()
  }

  /** The address is what holds, except for the field that is being typed in. */
  override updated() {
    for (const field of this.fields) if (field !== document.activeElement || field instanceof HTMLSelectElement) field.value = this.query.get(field.name) ?? ''
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    clearTimeout(this.timer)
  }

  override render() {
    const used = ['q', 'user', 'team', 'state', 'label'].some(name => this.query.get(name))
    return html`<form class="job-filter" role="search" aria-label=${t('filter.label')} @submit=${(e: Event) => (e.preventDefault(), this.write())}>
      <span class="filter-text">${icon('search')}<input name="q" type="search" maxlength="64" autocomplete="off" spellcheck="false"
        aria-label=${t('filter.text')} placeholder=${t('filter.text')} @input=${this.typed}></span>
      ${this.names('user', t('word.user'), t('filter.user'), this.users)}
      ${this.names('team', t('word.team'), t('filter.team'), this.teams)}
      ${this.labels ? html`<input name="label" maxlength="320" autocomplete="off" spellcheck="false" aria-label=${t('filter.label.label')} placeholder=${t('filter.label.label')} @change=${this.write}>` : nothing}
      <select name="state" aria-label=${t('word.state')} @change=${this.write}>
        <option value="">${t('filter.state')}</option>
        ${this.states.map(s => html`<option value=${s.value}>${s.text}</option>`)}
      </select>
      ${used ? html`<button type="button" class="button button-quiet" @click=${this.clear}>${icon('cross')}${t('filter.clear')}</button>` : nothing}
    </form>`
  }

  private names(name: string, label: string, all: string, list: string[]) {
    return html`<input name=${name} list="filter-${name}" maxlength="64" autocomplete="off" spellcheck="false" aria-label=${label} placeholder=${all} @input=${this.typed}>
      <datalist id="filter-${name}">${list.map(each => html`<option value=${each}></option>`)}</datalist>`
  }
}

customElements.define('reeve-job-filter', JobFilter)
