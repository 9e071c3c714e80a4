// Which page is drawn by what. A page is an element of its own; the place gives it what stands behind it.
import { html, type TemplateResult } from 'lit'
import type { Place } from '../router.ts'
import './device.ts'
import './fleet.ts'
import './job.ts'
import './jobs.ts'
import './ledger.ts'
import './overview.ts'
import './people.ts'
import './queue.ts'
import './submit.ts'

export const pages: Record<string, (place: Place) => TemplateResult> = {
  people: place => html`<reeve-people .place=${place}></reeve-people>`,
  queue: place => html`<reeve-queue .query=${place.query}></reeve-queue>`,
  ledger: place => html`<reeve-ledger .place=${place}></reeve-ledger>`,
  jobs: place => (place.id ? html`<reeve-job .number=${place.id}></reeve-job>` : html`<reeve-jobs .query=${place.query}></reeve-jobs>`),
  submit: () => html`<reeve-submit></reeve-submit>`,
  overview: () => html`<reeve-overview></reeve-overview>`,
  fleet: place => (place.id ? html`<reeve-device .place=${place}></reeve-device>` : html`<reeve-fleet .place=${place}></reeve-fleet>`),
}
