// A job to be handed in: checked as it is typed, by the rules here and then by the server (a dry run), which
// also says where it would stand. The same as a command line beside it.
import { html, nothing } from 'lit'
import { live as kept } from 'lit/directives/live.js'
import * as f from '../format.ts'
import { confirm } from '../parts/confirm.ts'
import { copyLine } from '../parts/copy.ts'
import { field } from '../parts/field.ts'
import { icon } from '../parts/icon.ts'
import { empty, said } from '../parts/notice.ts'
import { Part } from '../parts/part.ts'
import { tell, tellProblem } from '../parts/toast.ts'
import { go, to } from '../router.ts'
import { ask, post, Problem } from '../server/client.ts'
import { Resource, Watch } from '../server/resource.ts'
import { session } from '../server/session.ts'
import type { DryRun, Job, Template } from '../server/types.ts'
import { parse } from '../shell.ts'
import { t, tCount, type TextKey } from '../texts/index.ts'
import { check, commandLine, curlLine, forget, fresh, fromTemplate, isSecret, keep, load, type Checked, type Draft, type Field } from './submit-draft.ts'

/** So long after the last key the server is asked. */
const CALM_MS = 350
/** And again after so long: the queue moves. */
const AGAIN_MS = 5_000

const templates = new Resource<{ items: Template[] }>('/api/v1/templates', { every: 60_000 })

class Submit extends Part {
  private templates = new Watch(this, templates)
  private draft: Draft = load()
  private fate: DryRun | Problem | null = null
  private sending = false
  /** One for each text: a second press hands in nothing new. */
  private key: string | null = null
  private timer: number | undefined
  private dryRun: AbortController | null = null

  override connectedCallback() {
    super.connectedCallback()
    this.soon(0)
  }

  override disconnectedCallback() {
    super.disconnectedCallback()
    clearTimeout(this.timer)
    this.dryRun?.abort()
  }

  private get template(): Template | undefined {
    return this.templates.value?.items.find(x => x.name === this.draft.template)
  }

  private checked(): Checked {
    return check(this.draft, this.template)
  }

  private changed(change: Partial<Draft>) {
    this.draft = { ...this.draft, ...change }
    this.key = null
    // What the server said was about another text.
    if (this.fate instanceof Problem) this.fate = null
    keep(this.draft)
    this.requestUpdate()
    this.soon(CALM_MS)
  }

  private soon(ms: number) {
    clearTimeout(this.timer)
    this.timer = window.setTimeout(() => void this.foretell(), ms)
  }

  private async foretell() {
    const { body, faults } = this.checked()
    this.dryRun?.abort()
    if (faults.size || !(body['command'] as string[]).length) {
      this.fate = null
      this.requestUpdate()
      return
    }
    if (document.visibilityState === 'hidden') return this.soon(AGAIN_MS)
    const request = (this.dryRun = new AbortController())
    try {
      const answer = await ask<DryRun>('/api/v1/jobs?dry_run=true', { method: 'POST', body, signal: request.signal })
      if (!request.signal.aborted) this.fate = answer.value ?? null
    } catch (error) {
      if (request.signal.aborted) return
      this.fate = error instanceof Problem ? error : new Problem(0, '', String(error), '')
    }
    if (request.signal.aborted || !this.isConnected) return
    this.requestUpdate()
    this.soon(AGAIN_MS)
  }

  private async submit(e: Event) {
    e.preventDefault()
    const { body, faults } = this.checked()
    if (this.sending || faults.size || !(body['command'] as string[]).length) {
      this.querySelector<HTMLElement>('[aria-invalid], #submit-command')?.focus()
      return
    }
    this.sending = true
    this.requestUpdate()
    this.key ??= newKey()
    try {
      const job = await post<Job>('/api/v1/jobs', body, { 'Idempotency-Key': this.key })
      forget()
      this.draft = fresh()
      tell(t('submit.done', { id: job.id }))
      go(to('jobs', job.id))
    } catch (error) {
      if (error instanceof Problem && error.field) this.fate = error
      else tellProblem(error)
    }
    this.sending = false
    this.requestUpdate()
  }

  private async choose(name: string) {
    const template = this.templates.value?.items.find(x => x.name === name)
    const typed = this.draft.command.trim() && this.draft.template === ''
    if (typed && !(await confirm(t('submit.template.replace'), t('submit.template.replace.what'), t('submit.template.replace.yes')))) {
      this.requestUpdate()
      return
    }
    this.changed(template ? fromTemplate(template, this.draft) : fresh())
  }

  override render() {
    if (!session.may('submit')) return html`<h1>${t('submit.title')}</h1>${empty(t('submit.denied'))}`
    const checked = this.checked()
    const faults = new Map(checked.faults)
    if (this.fate instanceof Problem && this.fate.field) faults.set(this.fate.field, said(this.fate))
    return html`<div class="page-head"><h1>${t('submit.title')}</h1>
        ${this.draft.command ? html`<button class="button" type="button" @click=${() => this.changed(fresh())}>${t('submit.clear')}</button>` : nothing}</div>
      <form class="submit" @submit=${this.submit} novalidate>
        <div class="submit-form">
          ${this.fromTemplates(faults)} ${this.command(faults)}
          <div class="field-row">${this.line('name', faults)} ${this.line('work_dir', faults, '/data/…')} ${this.line('config_file', faults)}</div>
          <fieldset class="group"><legend>${t('submit.needs')}</legend>
            <div class="field-row field-row-small">${(['gpus', 'gpu_memory', 'cpu', 'memory', 'time_limit'] as const).map(name => this.line(name, faults))}</div>
          </fieldset>
          ${this.pairs('env', faults)} ${this.pairs('labels', faults)}
          <fieldset class="group"><legend>${t('submit.more')}</legend>
            <div class="field-row">${this.line('team', faults)} ${session.mayAll('submit') ? this.line('user', faults) : nothing} ${this.line('progress', faults)} ${this.line('retries', faults)}</div>
            <label class="check"><input type="checkbox" .checked=${kept(this.draft.exclusive)} @change=${(e: Event) => this.changed({ exclusive: (e.target as HTMLInputElement).checked })}><span>${t('submit.exclusive')}</span></label>
          </fieldset>
        </div>
        <div class="submit-side">
          ${this.outlook(checked, faults)}
          ${this.same(checked)}
        </div>
      </form>`
  }

  private fromTemplates(faults: Map<string, string>) {
    const all = this.templates.value?.items ?? []
    if (!all.length) return nothing
    const template = this.template
    return html`<div class="field"><label for="submit-template">${t('submit.template')}</label>
        <select id="submit-template" .value=${kept(this.draft.template)} @change=${(e: Event) => this.choose((e.target as HTMLSelectElement).value)}>
          <option value="">${t('submit.template.none')}</option>
          ${all.map(x => html`<option value=${x.name} ?selected=${x.name === this.draft.template}>${x.name}</option>`)}
        </select>
        ${template?.description ? html`<p class="field-note">${template.description}</p>` : nothing}</div>
      ${template?.parameters.length
        ? html`<div class="field-row">${template.parameters.map(p =>
            field({
              id: `submit-parameter-${p.name}`,
              label: p.name,
              code: true,
              required: p.required,
              value: this.draft.parameters[p.name] ?? '',
              placeholder: p.example ?? '',
              hint: p.description ?? '',
              fault: faults.get(`parameters.${p.name}`),
              input: value => this.changed({ parameters: { ...this.draft.parameters, [p.name]: value } }),
            }),
          )}</div>`
        : nothing}`
  }

  private command(faults: Map<string, string>) {
    const { words, shell } = parse(this.draft.command)
    const body = this.checked().body['command'] as string[]
    return html`<div>
      ${field({
        id: 'submit-command',
        label: t('submit.command'),
        hint: t('submit.command.hint'),
        code: true,
        lines: 3,
        required: true,
        value: this.draft.command,
        placeholder: 'python3 train.py --lr 0.1',
        fault: faults.get('command'),
        input: command => this.changed({ command }),
      })}
      ${words.length
        ? html`<p class="parsed"><span class="quiet">${t('submit.command.parsed')}</span>${body.slice(0, 60).map(w => html`<code class="word">${w || '\u00a0'}</code>`)}<span class="quiet">${tCount('submit.command.words', words.length)}</span></p>`
        : nothing}
      ${shell
        ? html`<p class="warn parsed">${icon('alert')}<span>${t('submit.shell', { sign: shell })}</span>
            <button type="button" class="button" @click=${() => this.changed({ command: `sh -c '${this.draft.command.trim().replaceAll("'", `'\\''`)}'` })}>${t('submit.shell.do')}</button></p>`
        : nothing}
    </div>`
  }

  private line(name: Field, faults: Map<string, string>, placeholder = '') {
    return field({
      id: `submit-${name}`,
      label: t(`submit.${name}` as TextKey),
      hint: t(`submit.${name}.hint` as TextKey),
      value: this.draft[name],
      placeholder,
      fault: faults.get(name),
      input: value => this.changed({ [name]: value }),
    })
  }

  private pairs(list: 'env' | 'labels', faults: Map<string, string>) {
    const all = this.draft[list]
    const set = (i: number, change: { name?: string; value?: string }) => this.changed({ [list]: all.map((p, j) => (j === i ? { ...p, ...change } : p)) })
    const add = async () => {
      this.changed({ [list]: [...all, { name: '', value: '' }] })
      await this.updateComplete
      this.querySelector<HTMLElement>(`#submit-${list}-${all.length}`)?.focus()
    }
    const remove = async (i: number) => {
      this.changed({ [list]: all.filter((_, j) => j !== i) })
      await this.updateComplete
      this.querySelector<HTMLElement>(`#submit-${list}-add`)?.focus()
    }
    const typed = (e: Event) => (e.target as HTMLInputElement).value
    return html`<fieldset class="group"><legend>${t(`submit.${list}`)}</legend>
      ${all.map((p, i) => {
        const fault = faults.get(`${list}.${i}`)
        return html`<div class="pair ${fault ? 'field-bad' : ''}">
          <input id="submit-${list}-${i}" class="mono" aria-label=${t('submit.pair.name')} placeholder=${t('submit.pair.name')} autocomplete="off" spellcheck="false" .value=${kept(p.name)} aria-invalid=${fault ? 'true' : nothing}
            aria-describedby=${fault ? `submit-${list}-${i}-note` : nothing} @input=${(e: Event) => set(i, { name: typed(e) })}>
          <input class="mono" type=${list === 'env' && isSecret(p.name) ? 'password' : 'text'} aria-label="${t('submit.pair.value')} ${p.name}" placeholder=${t('submit.pair.value')} autocomplete="off" spellcheck="false" .value=${kept(p.value)} @input=${(e: Event) => set(i, { value: typed(e) })}>
          <button type="button" class="plain" aria-label=${t('submit.pair.remove', { name: p.name })} @click=${() => remove(i)}>${icon('cross')}</button>
          ${fault ? html`<p class="field-note" id="submit-${list}-${i}-note">${fault}</p>` : nothing}
        </div>`
      })}
      ${faults.has(list) ? html`<p class="field-bad"><span class="field-note">${faults.get(list)}</span></p>` : nothing}
      ${list === 'env' && all.some(p => isSecret(p.name)) ? html`<p class="field-note">${t('submit.env.secret')}</p>` : nothing}
      <button type="button" class="button" id="submit-${list}-add" @click=${add}>${icon('submit')}${t(`submit.${list}.add`)}</button>
    </fieldset>`
  }

  /** What would become of it, and the button. */
  private outlook(checked: Checked, faults: Map<string, string>) {
    const none = !(checked.body['command'] as string[]).length
    return html`<section aria-labelledby="submit-fate"><h2 id="submit-fate">${t('submit.fate')}</h2>
      <div class="outlook" role="status">${this.words(none, faults.size > 0)}</div>
      <button class="button button-main submit-button" ?disabled=${this.sending}>${this.sending ? t('submit.doing') : t('submit.do')}</button>
    </section>`
  }

  private words(none: boolean, bad: boolean) {
    const fate = this.fate
    if (none) return html`<p class="quiet">${t('submit.fate.type')}</p>`
    if (fate instanceof Problem) return html`<p class="outlook-bad">${icon('alert')}<span>${fate.unreachable ? '' : t('submit.fate.refused')} ${said(fate)}</span></p>`
    if (bad) return html`<p class="outlook-bad">${icon('alert')}<span>${t('submit.fate.mend')}</span></p>`
    if (!fate) return html`<p class="quiet">${t('submit.fate.checking')}</p>`
    if (fate.starts_now) return html`<p class="outlook-good">${icon('play')}<span>${t('submit.fate.starts')}</span></p>`
    return html`<p class="outlook-wait">${icon('clock')}<span>${t('submit.fate.waits', { n: f.number(fate.position), all: f.number(Math.max(fate.queue_length + 1, fate.position ?? 0)) })}</span></p>
      ${fate.reason ? html`<p class="quiet">${f.sentence(fate.reason)}</p>` : nothing}`
  }

  private same({ body }: Checked) {
    const none = !(body['command'] as string[]).length
    return html`<section aria-labelledby="submit-same"><h2 id="submit-same">${t('submit.same')}</h2>
      ${none
        ? html`<p class="quiet">${t('submit.same.none')}</p>`
        : html`${copyLine(commandLine(body, location.origin), t('submit.same.cli'))} ${copyLine(curlLine(body, location.origin), t('submit.same.curl'))}`}
    </section>`
  }
}

/** Random enough, also where the page is not a secure context. */
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('')
}

customElements.define('reeve-submit', Submit)
