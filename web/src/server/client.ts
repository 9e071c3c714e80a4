// Asking the API: one bearer, answers as JSON, failures as Problem (RFC 9457).
import { language } from '../texts/index.ts'
import { session } from './session.ts'

/** What went wrong, in words for people; status 0 is a server out of reach. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    readonly title: string,
    readonly detail: string,
    readonly field: string | null = null,
    readonly retryAfter = 0,
  ) {
    super(detail || title)
  }

  get unreachable(): boolean {
    return this.status === 0
  }
}

export interface Answer<T> {
  /** Absent when nothing has changed since the ETag that was given. */
  value?: T
  etag: string | null
  headers: Headers
}

interface Options {
  method?: string
  body?: unknown
  etag?: string | null
  signal?: AbortSignal
  headers?: Record<string, string>
  /** Milliseconds until an unanswered request is given up. */
  timeout?: number
}

function headersOf(options: Options): Record<string, string> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': language, ...options.headers }
  if (session.token) headers['Authorization'] = `Bearer ${session.token}`
  if (options.body !== undefined) headers['Content-Type'] = 'application/json'
  if (options.etag) headers['If-None-Match'] = options.etag
  return headers
}

async function problemOf(response: Response): Promise<Problem> {
  const retry = Number(response.headers.get('Retry-After') ?? 0)
  try {
    const p = (await response.json()) as Record<string, unknown>
    const text = (name: string) => (typeof p[name] === 'string' ? (p[name] as string) : '')
    return new Problem(response.status, text('type'), text('title'), text('detail'), text('field') || null, retry)
  } catch {
    return new Problem(response.status, '', response.statusText || String(response.status), '', null, retry)
  }
}

/** The raw response of a request that went well; throws Problem otherwise. 304 counts as well. */
export async function send(path: string, options: Options = {}): Promise<Response> {
  const giveUp = new AbortController()
  const timer = options.timeout === 0 ? undefined : setTimeout(() => giveUp.abort(), options.timeout ?? 20_000)
  const cancel = () => giveUp.abort()
  options.signal?.addEventListener('abort', cancel)
  let response: Response
  try {
    response = await fetch(path, {
      method: options.method ?? 'GET',
      headers: headersOf(options),
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: giveUp.signal,
      cache: 'no-store',
      credentials: 'omit',
    })
  } catch (error) {
    if (options.signal?.aborted) throw error
    throw new Problem(0, '', 'unreachable', '')
  } finally {
    clearTimeout(timer)
    if (options.timeout !== 0) options.signal?.removeEventListener('abort', cancel)
  }
  if (response.ok || response.status === 304) return response
  const problem = await problemOf(response)
  if (response.status === 401 && session.token && session.me) session.leave()
  throw problem
}

export async function ask<T>(path: string, options: Options = {}): Promise<Answer<T>> {
  const response = await send(path, options)
  const etag = response.headers.get('ETag')
  if (response.status === 304 || response.status === 204) return { etag: etag ?? options.etag ?? null, headers: response.headers }
  return { value: (await response.json()) as T, etag, headers: response.headers }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask<T>(path, signal ? { signal } : {})).value as T
}

export async function post<T>(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<T> {
  return (await ask<T>(path, { method: 'POST', body, headers })).value as T
}

export async function change<T>(method: 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<T> {
  return (await ask<T>(path, body === undefined ? { method } : { method, body })).value as T
}

/** A path with its query; what is null, undefined or '' is left out. */
export function url(path: string, query: Record<string, string | number | null | undefined>): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== null && value !== undefined && value !== '') q.set(name, String(value))
  const text = q.toString()
  return text ? `${path}?${text}` : path
}
