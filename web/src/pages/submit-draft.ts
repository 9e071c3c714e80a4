// A job as it is being typed: what it becomes for the API, what is wrong with it already, and the same on
// the command line.
import { parse, quote } from '../shell.ts'
import { session } from '../server/session.ts'
import type { Template } from '../server/types.ts'
import { t, type TextKey } from '../texts/index.ts'

export interface Pair {
  name: string
  value: string
}

export interface Draft {
  template: string
  parameters: Record<string, string>
  command: string
  name: string
  work_dir: string
  config_file: string
  gpus: string
  gpu_memory: string
  cpu: string
  memory: string
  time_limit: string
  team: string
  user: string
  progress: string
  retries: string
  exclusive: boolean
  env: Pair[]
  labels: Pair[]
}

/** Fields that are one line of text. */
export type Field = Exclude<keyof Draft, 'template' | 'parameters' | 'exclusive' | 'env' | 'labels'>

export type Body = Record<string, unknown>

export interface Checked {
  body: Body
  /** What is wrong, by field; a row of a list is 'env.0'. */
  faults: Map<string, string>
}

const KEY = 'reeve.submit'

export const fresh = (): Draft => ({
  template: '',
  parameters: {},
  command: '',
  name: '',
  work_dir: '',
  config_file: '',
  gpus: '1',
  gpu_memory: '',
  cpu: '',
  memory: '',
  time_limit: '',
  team: '',
  user: '',
  progress: '',
  retries: '',
  exclusive: false,
  env: [],
  labels: [],
})

/* ---- kept over a reload ---- */

/** The server's own rule (job_env_is_secret). */
export const isSecret = (name: string) => /password|passwd|secret|token|key|credential|private|passphrase/i.test(name)

export function load(): Draft {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as { user?: string; draft?: Partial<Draft> }
    return kept.user === session.me?.user ? { ...fresh(), ...kept.draft } : fresh()
  } catch {
    return fresh()
  }
}

/** Values whose names look secret are left out. */
export function keep(draft: Draft) {
  const env = draft.env.map(p => ({ name: p.name, value: isSecret(p.name) ? '' : p.value }))
  sessionStorage.setItem(KEY, JSON.stringify({ user: session.me?.user, draft: { ...draft, env } }))
}

export const forget = () => sessionStorage.removeItem(KEY)

/* ---- rules of the API, as far as they can be told before it is asked ---- */

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const CONTROL = /[\u0000-\u001f\u007f]/

interface Rule {
  field: Field
  pattern: RegExp
  fault: TextKey
  /** Digits alone go as a number. */
  number?: RegExp
}

const rules: Rule[] = [
  { field: 'name', pattern: /^.{1,128}$/, fault: 'submit.fault.title' },
  { field: 'work_dir', pattern: /^\/.{0,1023}$/, fault: 'submit.fault.workDir' },
  { field: 'config_file', pattern: /^.{1,1024}$/, fault: 'submit.fault.long' },
  { field: 'gpus', pattern: /^([0-9]|[1-5][0-9]|6[0-4])$/, fault: 'submit.fault.gpus', number: /^\d+$/ },
  { field: 'gpu_memory', pattern: /^(0*[1-9][0-9]{0,7}|0*[1-9][0-9]{0,4} *([Mm]|[Gg])([Ii][Bb]?)?)$/, fault: 'submit.fault.memory', number: /^\d+$/ },
  { field: 'cpu', pattern: /^([0-9]{1,4}(\.[0-9]{1,3})?|[1-9][0-9]{0,5}m)$/, fault: 'submit.fault.cpu', number: /^[\d.]+$/ },
  { field: 'memory', pattern: /^(0*[1-9][0-9]{0,7}|0*[1-9][0-9]{0,4} *([Mm]|[Gg])([Ii][Bb]?)?)$/, fault: 'submit.fault.memory', number: /^\d+$/ },
  { field: 'time_limit', pattern: /^(?=.)([0-9]{1,3}d)?([0-9]{1,4}h)?([0-9]{1,5}m)?([1-9][0-9]{0,8}s?)?$/, fault: 'submit.fault.time', number: /^\d+$/ },
  { field: 'team', pattern: NAME, fault: 'submit.fault.word' },
  { field: 'user', pattern: NAME, fault: 'submit.fault.word' },
  { field: 'retries', pattern: /^([0-9]{1,2}|100)$/, fault: 'submit.fault.retries', number: /^\d+$/ },
  { field: 'progress', pattern: /^(?=.*(\{done\}|\{percent\})).{1,128}$/, fault: 'submit.fault.progress' },
]

function checkPairs(pairs: Pair[], list: 'env' | 'labels', fill: (text: string) => string, checked: Checked) {
  const name = list === 'env' ? /^[A-Za-z_][A-Za-z0-9_]{0,127}$/ : /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/
  const out: Record<string, string> = {}
  pairs.forEach((pair, i) => {
    if (!pair.name && !pair.value) return
    const fault = (key: TextKey) => checked.faults.set(`${list}.${i}`, t(key))
    if (!name.test(pair.name)) fault(list === 'env' ? 'submit.fault.envName' : 'submit.fault.labelName')
    else if (pair.name in out) fault('submit.fault.twice')
    else if (list === 'env' && isSecret(pair.name) && (pair.value === '***' || pair.value === '')) fault('submit.fault.secret')
    else if (list === 'labels' && (pair.value.length > 256 || CONTROL.test(pair.value))) fault('submit.fault.long')
    out[pair.name] = fill(pair.value)
  })
  if (Object.keys(out).length) checked.body[list] = out
}

export function check(draft: Draft, template: Template | undefined): Checked {
  const checked: Checked = { body: {}, faults: new Map() }
  const { body, faults } = checked
  const values: Record<string, string> = { ...(template ? { user: draft.user || (session.me?.user ?? '') } : {}) }
  for (const p of template?.parameters ?? []) {
    values[p.name] = draft.parameters[p.name] ?? ''
    if (p.required && !values[p.name]) faults.set(`parameters.${p.name}`, t('submit.fault.missing'))
  }
  const fill = (text: string) => text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] || whole)

  const parsed = parse(draft.command)
  if (parsed.open) faults.set('command', t('submit.fault.quote'))
  else if (parsed.words[0] === '') faults.set('command', t('submit.fault.noProgram'))
  body['command'] = parsed.words.map(fill)

  for (const rule of rules) {
    const text = fill(draft[rule.field].trim())
    if (!text) continue
    // What a parameter leaves open is the parameter's fault.
    if (template?.parameters.some(p => text.includes(`{${p.name}}`))) body[rule.field] = text
    else if (!rule.pattern.test(text) || CONTROL.test(text)) faults.set(rule.field, t(rule.fault))
    body[rule.field] = rule.number?.test(text) ? Number(text) : text
  }
  if (draft.exclusive) body['exclusive'] = true
  checkPairs(draft.env, 'env', fill, checked)
  checkPairs(draft.labels, 'labels', fill, checked)
  return checked
}

/* ---- from a template ---- */

export function fromTemplate(template: Template, was: Draft): Draft {
  const job = (template.job ?? {}) as Record<string, unknown>
  const parameters = Object.fromEntries(template.parameters.map(p => [p.name, was.parameters[p.name] || (p.example ?? '')]))
  const draft: Draft = { ...fresh(), template: template.name, parameters, user: was.user, team: was.team }
  draft.command = ((job['command'] as string[] | undefined) ?? template.command ?? []).map(quote).join(' ')
  for (const { field } of rules) if (job[field] !== undefined && job[field] !== null) draft[field] = String(job[field])
  draft.exclusive = job['exclusive'] === true
  const pairs = (of: unknown) => Object.entries((of ?? {}) as Record<string, string>).map(([name, value]) => ({ name, value }))
  draft.env = pairs(job['env'])
  draft.labels = pairs(job['labels'])
  return draft
}

/* ---- the same elsewhere ---- */

const options: [field: string, option: string][] = [
  ['name', '--name'],
  ['gpus', '--gpus'],
  ['gpu_memory', '--gpu-memory'],
  ['cpu', '--cpu'],
  ['memory', '--memory'],
  ['time_limit', '--time-limit'],
  ['team', '--team'],
  ['user', '--user'],
  ['work_dir', '--work-dir'],
  ['config_file', '--config-file'],
  ['progress', '--progress'],
  ['retries', '--retries'],
]

const entries = (map: unknown) => Object.entries((map ?? {}) as Record<string, string>)

/** A secret is not shown: the line takes it from the environment where it is run. */
export function commandLine(body: Body, origin: string): string {
  const words: string[] = []
  if (origin !== 'http://127.0.0.1:8081') words.push(`--server ${quote(origin)}`)
  for (const [field, option] of options) if (body[field] !== undefined) words.push(`${option} ${quote(String(body[field]))}`)
  if (body['exclusive']) words.push('--exclusive')
  for (const [name, value] of entries(body['env'])) words.push(`--env ${isSecret(name) ? name : quote(`${name}=${value}`)}`)
  for (const [name, value] of entries(body['labels'])) words.push(`--label ${quote(`${name}=${value}`)}`)
  words.push(`-- ${(body['command'] as string[]).map(quote).join(' ')}`)
  return 'reeve submit' + (words.length > 2 ? words.map(w => ` \\\n  ${w}`) : words.map(w => ' ' + w)).join('')
}

export function curlLine(body: Body, origin: string): string {
  const marks = new Map<string, string>()
  const env = Object.fromEntries(
    entries(body['env']).map(([name, value]) => {
      if (!isSecret(name)) return [name, value]
      const mark = `\u0001${name}\u0002`
      marks.set(JSON.stringify(mark).slice(1, -1), name)
      return [name, mark]
    }),
  )
  let json = quote(JSON.stringify(Object.keys(env).length ? { ...body, env } : body))
  for (const [mark, name] of marks) json = json.replaceAll(mark, `'"$${name}"'`)
  return `curl -H "Authorization: Bearer $REEVE_TOKEN" \\\n  -H 'Content-Type: application/json' \\\n  -d ${json} \\\n  ${quote(`${origin}/api/v1/jobs`)}`
}
