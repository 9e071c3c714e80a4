// Asks before something that can't be taken back. The browser's own dialog element: focus stays in it and
// returns, Escape means no.
import { html, render } from 'lit'
import { t } from '../texts/index.ts'

export function confirm(question: string, what: string, yes: string): Promise<boolean> {
  return new Promise(resolve => {
    const dialog = document.createElement('dialog')
    dialog.className = 'dialog'
    dialog.setAttribute('aria-labelledby', 'confirm-question')
    const close = (answer: boolean) => {
      dialog.close()
      dialog.remove()
      resolve(answer)
    }
    dialog.addEventListener('cancel', e => {
      e.preventDefault()
      close(false)
    })
    render(
      html`<h2 id="confirm-question">${question}</h2>
        <p>${what}</p>
        <div class="dialog-buttons">
          <button class="button" @click=${() => close(false)}>${t('do.keep')}</button>
          <button class="button button-bad" @click=${() => close(true)}>${yes}</button>
        </div>`,
      dialog,
    )
    document.body.append(dialog)
    dialog.showModal()
  })
}
