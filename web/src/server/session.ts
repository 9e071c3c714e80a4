// Who is signed in. The token lives in this tab (sessionStorage, never a cookie, never an address); a new
// tab of the same page asks its neighbours for theirs before it asks the person.
import type { Whoami } from './types.ts'

const KEY = 'reeve.token'
const channel = 'BroadcastChannel' in window ? new BroadcastChannel('reeve.session') : null

let token = sessionStorage.getItem(KEY)
let me: Whoami | null = null
const listeners = new Set<() => void>()

channel?.addEventListener('message', e => {
  const data = e.data as { ask?: boolean; token?: string; out?: boolean }
  if (data.ask && token && me) channel.postMessage({ token })
  if (data.out && token) leave()
})

/** The token of another tab, or null when none answers in time. */
function fromNeighbours(): Promise<string | null> {
  if (!channel) return Promise.resolve(null)
  return new Promise(resolve => {
    const answer = (e: MessageEvent) => {
      const data = e.data as { token?: string }
      if (!data.token) return
      channel.removeEventListener('message', answer)
      resolve(data.token)
    }
    channel.addEventListener('message', answer)
    channel.postMessage({ ask: true })
    setTimeout(() => {
      channel.removeEventListener('message', answer)
      resolve(null)
    }, 150)
  })
}

export const session = {
  get token(): string | null {
    return token
  },
  get me(): Whoami | null {
    return me
  },

  async find(): Promise<string | null> {
    token ??= await fromNeighbours()
    return token
  },

  enter(newToken: string, who: Whoami) {
    token = newToken
    me = who
    sessionStorage.setItem(KEY, newToken)
    tell()
  },

  /** Forgets the token here; EVERYWHERE: in the other tabs too. */
  leave(everywhere = false) {
    if (everywhere) channel?.postMessage({ out: true })
    leave()
  },

  may(permission: string): boolean {
    return me?.permissions.includes(permission) ?? false
  },

  /** Whether a permission holds for everybody's things, not just one's own. */
  mayAll(permission: string): boolean {
    return session.may(permission) && (me?.scopes?.[permission] ?? 'all') === 'all'
  },

  onChange(listener: () => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

function leave() {
  token = null
  me = null
  sessionStorage.removeItem(KEY)
  tell()
}

function tell() {
  for (const listener of listeners) listener()
}
