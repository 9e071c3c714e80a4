// The frame: navigation, state of the connection, who is signed in; the page of the moment inside.
import { html, nothing, type TemplateResult } from 'lit'
import { Part } from './parts/part.ts'
import { icon, type IconName } from './parts/icon.ts'
import './parts/toast.ts'
import './parts/account.ts'
import { here, to, type Place } from './router.ts'
import { session } from './server/session.ts'
import { live } from './server/live.ts'
import { status } from './server/shared.ts'
import { Watch } from './server/resource.ts'
import { t, type TextKey } from './texts/index.ts'
import './pages/sign-in.ts'
import { pages } from './pages/index.ts'

interface Entry {
  page: string
  icon: IconName
  text: TextKey
  permission: string
  /** Others of its kind that light it up. */
  also?: string[]
}

const entries: Entry[] = [
  { page: 'overview', icon: 'overview', text: 'nav.overview', permission: 'see_queue' },
  { page: 'queue', icon: 'queue', text: 'nav.queue', permission: 'see_queue' },
  { page: 'jobs', icon: 'jobs', text: 'nav.jobs', permission: 'see_queue' },
  { page: 'fleet', icon: 'fleet', text: 'nav.fleet', permission: 'metrics' },
  { page: 'submit', icon: 'submit', text: 'nav.submit', permission: 'submit' },
  { page: 'people', icon: 'people', text: 'nav.people', permission: 'admin' },
  { page: 'ledger', icon: 'ledger', text: 'nav.ledger', permission: 'ledger' },
]

/** How long a lost connection may last before the page says more than a word. */
const PATIENCE = 4_000

class App extends Part {
  private place: Place = here()
  private status = new Watch(this, status)
  private offSession: (() => void) | null = null
  private lostSince = 0

  private moved = () => {
    const before = this.place
    this.place = here()
    this.requestUpdate()
    if (before.page === this.place.page && before.id === this.place.id) return
    void this.updateComplete.then(() => {
      window.scrollTo(0, 0)
      this.querySelector<HTMLElement>('main')?.focus({ preventScroll: true })
    })
  }

  private connection = () => {
    this.lostSince = live.state === 'live' ? 0 : this.lostSince || Date.now()
    this.requestUpdate()
    if (this.lostSince) setTimeout(() => this.requestUpdate(), PATIENCE + 50)
  }

  override connectedCallback() {
    super.connectedCallback()
    window.addEventListener('hashchange', this.moved)
    live.addEventListener('state', this.connection)
    this.offSession = session.onChange(() => {
      status.refresh()
      this.place = here()
      this.requestUpdate()
    })
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    window.removeEventListener('hashchange', this.moved)
    live.removeEventListener('state', this.connection)
    this.offSession?.()
  }

  override render() {
    if (!session.me) return html`<reeve-sign-in></reeve-sign-in><reeve-toasts></reeve-toasts>`
    const seen = entries.filter(e => session.may(e.permission))
    return html`
      <a class="skip" href="#main" @click=${this.skip}>${t('nav.skip')}</a>
      <header class="bar">
        <a class="brand" href=${to('overview')}><span class="brand-mark" aria-hidden="true"></span>Reeve<span class="brand-site">${this.status.value?.site ?? ''}</span></a>
        <span class="bar-space"></span>
        ${this.liveState()}
        <reeve-account></reeve-account>
      </header>
      <nav class="nav" aria-label=${t('nav.label')}>
        ${seen.map(e => this.link(e))}
      </nav>
      <main id="main" tabindex="-1" class="main main-${this.place.page}">
        ${this.banner()} ${this.page()}
      </main>
      <reeve-toasts></reeve-toasts>`
  }

  private skip(e: Event) {
    e.preventDefault()
    document.getElementById('main')?.focus()
  }

  private link(e: Entry) {
    const on = this.place.page === e.page
    const waiting = e.page === 'queue' ? this.status.value?.queue_length : 0
    return html`<a class="nav-link ${on ? 'nav-on' : ''}" href=${to(e.page)} aria-current=${on ? 'page' : nothing}>
      ${icon(e.icon)}<span>${t(e.text)}</span>${waiting ? html`<span class="nav-count">${waiting}</span>` : nothing}
    </a>`
  }

  private liveState() {
    const state = live.state
    const word = state === 'live' ? t('frame.live') : state === 'waiting' ? t('frame.waiting') : t('frame.connecting')
    return html`<span class="live live-${state}" role="status"><span class="live-dot" aria-hidden="true"></span>${word}</span>`
  }

  private banner(): TemplateResult | typeof nothing {
    if (this.lostSince && Date.now() - this.lostSince > PATIENCE) return html`<div class="banner banner-bad" role="alert">${icon('alert')}<span>${t('frame.waitingLong')}</span></div>`
    if (this.status.value?.disk_full) return html`<div class="banner banner-bad" role="alert">${icon('alert')}<span>${t('frame.diskFull')}</span></div>`
    return nothing
  }

  private page(): TemplateResult {
    const make = pages[this.place.page]
    const title = entries.find(e => e.page === this.place.page)
    const job = this.place.page === 'jobs' && this.place.id ? t('job.number', { id: this.place.id }) : null
    document.title = (job ?? (title ? t(title.text) : '')) + (job || title ? ' · ' : '') + 'Reeve'
    if (make) return make(this.place)
    return html`<div class="empty"><h1>${t('problem.noPage')}</h1><p class="empty-next"><a href=${to('overview')}>${t('problem.toOverview')}</a></p></div>`
  }
}

customElements.define('reeve-app', App)
