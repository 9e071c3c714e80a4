// The few pictures of the page, 16 x 16, drawn with the colour of the text beside them.
import { html, svg, type SVGTemplateResult } from 'lit'

const paths = {
  overview: svg`<rect x="2" y="2" width="5" height="6" rx="1"/><rect x="9" y="2" width="5" height="3.5" rx="1"/><rect x="2" y="10.5" width="5" height="3.5" rx="1"/><rect x="9" y="8" width="5" height="6" rx="1"/>`,
  queue: svg`<path d="M6 3.5h8M6 8h8M6 12.5h8"/><circle cx="2.7" cy="3.5" r=".9"/><circle cx="2.7" cy="8" r=".9"/><circle cx="2.7" cy="12.5" r=".9"/>`,
  jobs: svg`<rect x="2" y="2.5" width="12" height="11" rx="1.5"/><path d="M4.5 6l2 2-2 2M8.5 10.5h3"/>`,
  fleet: svg`<rect x="3.5" y="3.5" width="9" height="9" rx="1.5"/><rect x="6.2" y="6.2" width="3.6" height="3.6" rx=".6"/><path d="M6 1.5v2M10 1.5v2M6 12.5v2M10 12.5v2M1.5 6h2M1.5 10h2M12.5 6h2M12.5 10h2"/>`,
  submit: svg`<path d="M8 2.5v11M2.5 8h11"/>`,
  people: svg`<circle cx="6" cy="5.3" r="2.6"/><path d="M1.5 13.5c.4-2.7 2.2-4 4.5-4s4.1 1.3 4.5 4M10.6 3a2.4 2.4 0 0 1 0 4.6M12.2 9.9c1.3.6 2 1.8 2.3 3.6"/>`,
  ledger: svg`<path d="M3.5 2.5h8a1.5 1.5 0 0 1 1.5 1.5v9.5h-8A1.5 1.5 0 0 1 3.5 12zM3.5 12A1.5 1.5 0 0 1 5 10.7h8M6 5.5h4.5"/>`,
  more: svg`<circle cx="3" cy="8" r=".8"/><circle cx="8" cy="8" r=".8"/><circle cx="13" cy="8" r=".8"/>`,
  check: svg`<path d="M3 8.5l3.2 3.2L13 4.8"/>`,
  cross: svg`<path d="M4 4l8 8M12 4l-8 8"/>`,
  clock: svg`<circle cx="8" cy="8" r="5.8"/><path d="M8 4.8V8l2.3 1.6"/>`,
  play: svg`<path d="M5 3.2v9.6l7.6-4.8z"/>`,
  pause: svg`<path d="M5.5 3.5v9M10.5 3.5v9"/>`,
  dash: svg`<circle cx="8" cy="8" r="5.8"/><path d="M5 8h6"/>`,
  dots: svg`<circle cx="8" cy="8" r="5.8" stroke-dasharray="2.4 2.2"/>`,
  alert: svg`<path d="M8 2.2 14.5 13.5h-13zM8 6.5v3.2M8 11.4v.4"/>`,
  search: svg`<circle cx="7" cy="7" r="4.3"/><path d="M10.3 10.3 14 14"/>`,
  down: svg`<path d="M8 2.5v8M4.5 7.3 8 10.8l3.5-3.5M3 13.5h10"/>`,
  up: svg`<path d="M3.5 10 8 5.5l4.5 4.5"/>`,
  next: svg`<path d="M3.5 6 8 10.5 12.5 6"/>`,
  copy: svg`<rect x="5.5" y="5.5" width="8" height="8" rx="1.2"/><path d="M10.5 5.5V3.7A1.2 1.2 0 0 0 9.3 2.5H3.7a1.2 1.2 0 0 0-1.2 1.2v5.6a1.2 1.2 0 0 0 1.2 1.2h1.8"/>`,
  user: svg`<circle cx="8" cy="5.5" r="2.8"/><path d="M2.8 13.8c.5-2.9 2.6-4.3 5.2-4.3s4.7 1.4 5.2 4.3"/>`,
  retry: svg`<path d="M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3"/>`,
  trash: svg`<path d="M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9"/>`,
  key: svg`<circle cx="5" cy="11" r="2.7"/><path d="M7 9l6-6M10.5 5.5l2 2"/>`,
  back: svg`<path d="M9.5 3.5 5 8l4.5 4.5"/>`,
  wrap: svg`<path d="M2.5 4h11M2.5 8h8.3a2 2 0 0 1 0 4.5H8.5M10 10.8 8.3 12.5 10 14.2M2.5 12.5h3"/>`,
} satisfies Record<string, SVGTemplateResult>

export type IconName = keyof typeof paths

export function icon(name: IconName) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">${paths[name]}</svg>`
}
