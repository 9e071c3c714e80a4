// A button that puts a text on the clipboard, and text that is there to be copied.
import { html } from 'lit'
import { t } from '../texts/index.ts'
import { icon } from './icon.ts'
import { tell } from './toast.ts'

export async function copy(text: string) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    // Plain HTTP on another machine: the clipboard's own interface is not there.
    const area = document.createElement('textarea')
    area.value = text
    area.setAttribute('aria-hidden', 'true')
    const place = document.querySelector('dialog[open]') ?? document.body
    place.append(area)
    area.select()
    document.execCommand('copy')
    area.remove()
  }
  tell(t('do.copied'))
}

/** WHAT says what is copied where more than one stands beside each other. */
export function copyButton(text: string, what = '') {
  return html`<button type="button" class="plain" title=${t('do.copy')} aria-label="${t('do.copy')}${what ? `: ${what}` : ''}" @click=${() => copy(text)}>${icon('copy')}</button>`
}

/** A command or a secret on a line of its own, with its button. */
export function copyLine(text: string, what: string) {
  return html`<div class="copy-line"><pre tabindex="0" aria-label=${what}>${text}</pre>${copyButton(text, what)}</div>`
}
