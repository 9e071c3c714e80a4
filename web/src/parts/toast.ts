// A sentence at the edge of the page about what was just done, for some seconds; read out as well.
import { html, nothing } from 'lit'
import { Problem } from '../server/client.ts'
import { t } from '../texts/index.ts'
import { icon } from './icon.ts'
import { said } from './notice.ts'
import { Part } from './part.ts'

interface Message {
  text: string
  bad: boolean
  id: number
}

class Toasts extends Part {
  private messages: Message[] = []
  private count = 0

  add(text: string, bad: boolean) {
    const message = { text, bad, id: ++this.count }
    this.messages = [...this.messages.slice(-3), message]
    this.requestUpdate()
    setTimeout(() => this.drop(message.id), bad ? 10_000 : 4_000)
  }

  private drop(id: number) {
    this.messages = this.messages.filter(m => m.id !== id)
    this.requestUpdate()
  }

  override render() {
    return html`<div class="toasts" role="status" aria-live="polite">
      ${this.messages.map(
        m => html`<div class="toast ${m.bad ? 'toast-bad' : ''}">
          ${icon(m.bad ? 'alert' : 'check')}<span>${m.text}</span>
          ${m.bad ? html`<button class="plain" aria-label=${t('do.close')} @click=${() => this.drop(m.id)}>${icon('cross')}</button>` : nothing}
        </div>`,
      )}
    </div>`
  }
}

customElements.define('reeve-toasts', Toasts)

const place = () => document.querySelector('reeve-toasts') as Toasts | null

export function tell(text: string) {
  place()?.add(text, false)
}

/** A failure, or a sentence about one. */
export function tellProblem(error: unknown) {
  place()?.add(error instanceof Problem ? said(error) : String(error), true)
}

/** Does WHAT and says DONE, or what went wrong. */
export async function attempt(what: () => Promise<unknown>, done: string): Promise<boolean> {
  try {
    await what()
    tell(done)
    return true
  } catch (error) {
    tellProblem(error)
    return false
  }
}
