// Asks before something that can't be taken back. The browser's own dialog element: focus stays in it and
// returns, Escape means no.
import { html, nothing, render } from 'lit'
import { t } from '../texts/index.ts'

/** Whether the answer was YES. */
export function confirm(question: string, what: string, yes: string): Promise<boolean> {
  return open(question, what, null, yes).then(answer => answer !== null)
}

/** A line of text, perhaps empty, named LABEL; null when it was thought better of. */
export function ask(question: string, what: string, label: string, yes: string): Promise<string | null> {
  return open(question, what, label, yes)
}

function open(question: string, what: string, label: string | null, yes: string): Promise<string | null> {
  return new Promise(resolve => {
    const dialog = document.createElement('dialog')
    dialog.className = 'dialog'
    dialog.setAttribute('aria-labelledby', 'confirm-question')
    const text = () => dialog.querySelector('input')?.value.trim() ?? ''
    const close = (answer: string | null) => {
      dialog.close()
      dialog.remove()
      resolve(answer)
    }
    dialog.addEventListener('cancel', e => {
      e.preventDefault()
      close(null)
    })
    render(
      html`<form @submit=${(e: Event) => (e.preventDefault(), close(text()))}>
        <h2 id="confirm-question">${question}</h2>
        <p>${what}</p>
        ${label === null ? nothing : html`<label class="dialog-label">${label}<input maxlength="200" autocomplete="off"></label>`}
        <div class="dialog-buttons">
          <button type="button" class="button" @click=${() => close(null)}>${t('do.keep')}</button>
          <button class="button ${label === null ? 'button-bad' : 'button-main'}">${yes}</button>
        </div>
      </form>`,
      dialog,
    )
    document.body.append(dialog)
    dialog.showModal()
  })
}
