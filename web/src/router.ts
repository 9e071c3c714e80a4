// Where in the page one is: the part of the address behind `#`, since /queue and /jobs are the API's.
//   #/            overview        #/jobs/12   a job
//   #/queue?user=bob              #/fleet/3   a device

export interface Place {
  /** 'overview', 'queue', 'job', ...: the first word. */
  page: string
  /** What stands behind it: a number or a name. */
  id: string | null
  query: URLSearchParams
}

export function here(hash = location.hash): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const [page = '', id = null] = path.split('/', 2) as [string?, string?]
  return { page: page || 'overview', id: id ? safeDecode(id) : null, query: new URLSearchParams(query) }
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function to(page: string, id: string | number | null = null, query: Record<string, string> = {}): string {
  const q = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== '')).toString()
  const path = page === 'overview' ? '' : page
  return `#/${path}${id === null ? '' : '/' + encodeURIComponent(id)}${q ? '?' + q : ''}`
}

export function go(address: string) {
  location.hash = address
}

/** Changes the query of the place without a step in the history: filters. */
export function setQuery(query: Record<string, string>) {
  const { page, id } = here()
  history.replaceState(null, '', to(page, id, query))
  window.dispatchEvent(new HashChangeEvent('hashchange'))
}
