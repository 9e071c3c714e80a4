// Dark or light: as the system says, unless the person chose otherwise.
export type Theme = 'auto' | 'light' | 'dark'

const KEY = 'reeve.theme'
const dark = matchMedia('(prefers-color-scheme: dark)')

export function theme(): Theme {
  const kept = localStorage.getItem(KEY)
  return kept === 'light' || kept === 'dark' ? kept : 'auto'
}

export function setTheme(to: Theme) {
  localStorage.setItem(KEY, to)
  apply()
}

function apply() {
  const chosen = theme()
  document.documentElement.dataset['theme'] = chosen === 'auto' ? (dark.matches ? 'dark' : 'light') : chosen
  // Canvases draw with the colours of the moment.
  window.dispatchEvent(new Event('reeve-theme'))
}

dark.addEventListener('change', apply)
apply()
