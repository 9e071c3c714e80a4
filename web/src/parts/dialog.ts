// A form or an answer over the page, in the browser's own dialog element: focus stays in it and returns,
// Escape closes.
import { render, type TemplateResult } from 'lit'

export interface Dialog {
  draw(): void
  close(): void
}

/** DRAW is what stands in it; anew at each draw(). The first heading is its name. */
export function openDialog(draw: (dialog: Dialog) => TemplateResult): Dialog {
  const element = document.createElement('dialog')
  element.className = 'dialog'
  const dialog: Dialog = {
    draw() {
      render(draw(dialog), element)
      const head = element.querySelector('h2')
      if (head) {
        head.id = 'dialog-title'
        element.setAttribute('aria-labelledby', head.id)
      }
    },
    close: () => element.close(),
  }
  const before = document.activeElement as HTMLElement | null
  element.addEventListener('close', () => {
    element.remove()
    if (before?.isConnected) before.focus()
  })
  document.body.append(element)
  dialog.draw()
  element.showModal()
  return dialog
}
