// Before anything else: the code of a one-time link (#/link=CODE), the token of a neighbouring tab, or one
// that is pasted.
import { html, nothing } from 'lit'
import { Part } from '../parts/part.ts'
import { said } from '../parts/notice.ts'
import { icon } from '../parts/icon.ts'
import { post, Problem } from '../server/client.ts'
import { session } from '../server/session.ts'
import type { Session, Whoami } from '../server/types.ts'
import { t } from '../texts/index.ts'

class SignIn extends Part {
  static override properties = { working: { state: true }, message: { state: true } }
  declare working: boolean
  declare message: string

  private linked = () => {
    if (this.code()) void this.begin()
  }

  constructor() {
    super()
    this.working = true
    this.message = ''
  }

  override connectedCallback() {
    super.connectedCallback()
    window.addEventListener('hashchange', this.linked)
    void this.begin()
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    window.removeEventListener('hashchange', this.linked)
  }

  private code(): string | null {
    return location.hash.match(/^#\/link=([\w-]+)$/)?.[1] ?? null
  }

  private async begin() {
    this.working = true
    const code = this.code()
    if (code) {
      // Out of the address and the history before anything else: it is used up in any case.
      history.replaceState(null, '', location.pathname + location.search + '#/')
      await this.byLink(code)
    } else {
      const token = await session.find()
      if (token) await this.byToken(token, '')
    }
    this.working = false
  }

  private async byLink(code: string) {
    try {
      const made = await post<Session>('/api/v1/sessions', { code })
      const who = await whoami(made.token)
      session.enter(made.token, who)
    } catch (error) {
      const token = await session.find()
      if (token) await this.byToken(token, t('signin.badLink'))
      else this.message = error instanceof Problem && error.status !== 401 ? said(error) : t('signin.badLink')
    }
  }

  private async byToken(token: string, otherwise: string) {
    try {
      session.enter(token, await whoami(token))
    } catch (error) {
      if (!(error instanceof Problem && error.unreachable)) session.leave()
      this.message = error instanceof Problem && error.status !== 401 ? said(error) : otherwise
      if (error instanceof Problem && error.unreachable) setTimeout(() => !session.me && this.isConnected && void this.begin(), 2_000)
    }
  }

  private async submit(e: SubmitEvent) {
    e.preventDefault()
    const token = (this.querySelector('#token') as HTMLInputElement).value.trim().split(/\s/).pop() ?? ''
    if (!token) return
    this.working = true
    this.message = ''
    await this.byToken(token, t('signin.badToken'))
    this.working = false
  }

  override render() {
    return html`<main class="signin">
      <div class="signin-card">
        <h1><span class="brand-mark" aria-hidden="true"></span>${t('signin.title')}</h1>
        ${this.message ? html`<p class="signin-message" role="alert">${icon('alert')}<span>${this.message}</span></p>` : nothing}
        ${this.working ? html`<p class="quiet" role="status">${t('signin.working')}</p>` : this.form()}
      </div>
    </main>`
  }

  private form() {
    return html`<p>${t('signin.how')}</p>
      <form @submit=${this.submit}>
        <label for="token">${t('signin.token')}</label>
        <input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required placeholder="rv_…">
        <button class="button button-main">${t('signin.enter')}</button>
      </form>
      <p class="signin-link">${t('signin.link')} <code>reeve token link</code></p>`
  }
}

async function whoami(token: string): Promise<Whoami> {
  const response = await fetch('/api/v1/whoami', { headers: { Authorization: `Bearer ${token}` }, cache: 'no-store', credentials: 'omit' }).catch(() => null)
  if (!response) throw new Problem(0, '', 'unreachable', '')
  if (response.ok) return (await response.json()) as Whoami
  throw new Problem(response.status, '', response.statusText, '')
}

customElements.define('reeve-sign-in', SignIn)

