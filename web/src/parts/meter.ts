// A bar with its figure: progress, use, memory.
import { html } from 'lit'
import { styles } from './styles.ts'

/** SHARE is 0..1 or null; TEXT stands beside it; KIND colours it. */
export function meter(share: number | null | undefined, text: string, label: string, kind: 'use' | 'memory' | 'progress' = 'use') {
  const known = share !== null && share !== undefined
  const width = known ? Math.max(0, Math.min(1, share)) : 0
  return html`<span class="meter meter-${kind}" role="img" aria-label="${label}: ${text}">
    <span class="meter-track" aria-hidden="true"><span class="meter-fill" ${styles({ transform: `scaleX(${width.toFixed(4)})` })}></span></span>
    <span class="meter-text" aria-hidden="true">${text}</span>
  </span>`
}
