// Who is signed in, the look of the page, signing out: a small panel under a button.
import { html } from 'lit'
import { change } from '../server/client.ts'
import { session } from '../server/session.ts'
import { language, setLanguage, t, tMaybe, type Language } from '../texts/index.ts'
import { setTheme, theme, type Theme } from '../theme.ts'
import { icon } from './icon.ts'
import { Part } from './part.ts'

class Account extends Part {
  static override properties = { open: { state: true } }
  declare open: boolean

  private outside = (e: Event) => {
    if (!this.contains(e.target as globalThis.Node)) this.open = false
  }

  override connectedCallback() {
    super.connectedCallback()
    document.addEventListener('pointerdown', this.outside)
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    document.removeEventListener('pointerdown', this.outside)
  }

  private key(e: KeyboardEvent) {
    if (e.key !== 'Escape' || !this.open) return
    this.open = false
    this.querySelector('button')?.focus()
  }

  private async out() {
    try {
      await change('DELETE', '/api/v1/sessions/current')
    } catch {
      // Signed out here in any case; the session ends by itself.
    }
    session.leave(true)
  }

  override render() {
    const me = session.me
    if (!me) return html``
    return html`<div class="account" @keydown=${this.key}>
      <button class="account-button" aria-expanded=${this.open ? 'true' : 'false'} aria-controls="account-panel" aria-label="${me.user}: ${t('frame.account')}" @click=${() => (this.open = !this.open)}>
        ${icon('user')}<span>${me.user}</span>
      </button>
      <div class="panel" id="account-panel" ?hidden=${!this.open}>
        <p class="panel-who"><strong>${me.user}</strong><span class="quiet">${tMaybe('role.' + me.role, me.role)}</span></p>
        ${this.choice<Theme>('theme', t('frame.theme'), theme(), { auto: t('frame.theme.auto'), light: t('frame.theme.light'), dark: t('frame.theme.dark') }, v => {
          setTheme(v)
          this.requestUpdate()
        })}
        ${this.choice<Language>('language', t('frame.language'), language, { en: 'English', ko: '한국어' }, setLanguage)}
        <button class="button" @click=${this.out}>${t('frame.signOut')}</button>
      </div>
    </div>`
  }

  private choice<T extends string>(name: string, label: string, now: T, all: Record<T, string>, chosen: (v: T) => void) {
    return html`<fieldset class="choice"><legend>${label}</legend>
      ${(Object.entries(all) as [T, string][]).map(
        ([value, text]) => html`<label><input type="radio" name=${name} .value=${value} .checked=${value === now} @change=${() => chosen(value)}><span>${text}</span></label>`,
      )}
    </fieldset>`
  }
}

customElements.define('reeve-account', Account)
