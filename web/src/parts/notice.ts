// What to show instead of a table: nothing there yet, or a failure; both say the next step.
import { html, nothing, type TemplateResult } from 'lit'
import { Problem } from '../server/client.ts'
import { t } from '../texts/index.ts'
import { icon } from './icon.ts'

export function empty(what: string, next: TemplateResult | string | typeof nothing = nothing) {
  return html`<div class="empty"><p>${what}</p>${next === nothing ? nothing : html`<p class="empty-next">${next}</p>`}</div>`
}

/** A failure in words. */
export function said(problem: Problem): string {
  if (problem.unreachable) return t('problem.unreachable')
  if (problem.status === 403) return t('problem.denied')
  if (problem.status === 404) return t('problem.notFound')
  return problem.detail || problem.title
}

export function failure(problem: Problem, again?: () => void) {
  return html`<div class="failure" role="alert">
    ${icon('alert')}
    <p>${said(problem)}${problem.unreachable ? html` ${t('problem.unreachable.next')}` : nothing}</p>
    ${again ? html`<button class="button" @click=${again}>${t('problem.again')}</button>` : nothing}
  </div>`
}

/** Grey bars where a table will be. */
export function loading(rows = 3) {
  return html`<div class="loading" aria-busy="true" role="status">${Array.from({ length: rows }, () => html`<span></span>`)}</div>`
}
