// A labelled input with what is wrong with it, or else a hint.
import { html, nothing, type TemplateResult } from 'lit'
import { live } from 'lit/directives/live.js'

interface Options {
  id: string
  label: string
  value: string
  input: (value: string) => void
  hint?: string
  fault?: string | undefined
  placeholder?: string
  type?: 'text' | 'password' | 'number'
  /** Set in the type of code. */
  code?: boolean
  required?: boolean
  /** Several lines. */
  lines?: number
}

export function field(o: Options): TemplateResult {
  const note = o.fault ?? o.hint
  const typed = (e: Event) => o.input((e.target as HTMLInputElement).value)
  return html`<div class="field ${o.fault ? 'field-bad' : ''}">
    <label for=${o.id}>${o.label}</label>
    ${o.lines
      ? html`<textarea id=${o.id} class=${o.code ? 'mono' : ''} rows=${o.lines} spellcheck="false" autocapitalize="off" .value=${live(o.value)} placeholder=${o.placeholder ?? ''}
          aria-invalid=${o.fault ? 'true' : nothing} aria-describedby=${note ? `${o.id}-note` : nothing} ?required=${o.required} @input=${typed}></textarea>`
      : html`<input id=${o.id} class=${o.code ? 'mono' : ''} type=${o.type ?? 'text'} autocomplete="off" spellcheck="false" autocapitalize="off" .value=${live(o.value)} placeholder=${o.placeholder ?? ''}
          aria-invalid=${o.fault ? 'true' : nothing} aria-describedby=${note ? `${o.id}-note` : nothing} ?required=${o.required} @input=${typed}>`}
    ${note ? html`<p class="field-note" id="${o.id}-note">${note}</p>` : nothing}
  </div>`
}
