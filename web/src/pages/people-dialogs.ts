// What an administrator fills in about users, tokens and new nodes, and what is shown only once.
import { html, nothing } from 'lit'
import * as f from '../format.ts'
import { confirm } from '../parts/confirm.ts'
import { copyLine } from '../parts/copy.ts'
import { openDialog, type Dialog } from '../parts/dialog.ts'
import { field } from '../parts/field.ts'
import { said } from '../parts/notice.ts'
import { attempt, tell, tellProblem } from '../parts/toast.ts'
import { to } from '../router.ts'
import { change, post, Problem } from '../server/client.ts'
import type { Role, Time, Token, User } from '../server/types.ts'
import { quote } from '../shell.ts'
import { t, tMaybe, type TextKey } from '../texts/index.ts'

const ROLES: Role[] = ['user', 'operator', 'admin', 'viewer', 'service']
/** Neither changed nor disabled: somebody has to be able to. */
export const FIXED = 'admin'

const path = (user: string) => `/api/v1/users/${encodeURIComponent(user)}`

/** A form in a dialog: SEND is tried at its button; what is refused is said at its field. */
function form(title: string, button: string, fields: (faults: Map<string, string>, dialog: Dialog) => unknown, send: (dialog: Dialog) => Promise<void>, below: (dialog: Dialog) => unknown = () => nothing) {
  const faults = new Map<string, string>()
  let busy = false
  const submit = async (e: Event, dialog: Dialog) => {
    e.preventDefault()
    if (busy) return
    busy = true
    faults.clear()
    try {
      await send(dialog)
    } catch (error) {
      if (error instanceof Problem) faults.set(error.field ?? '', said(error))
      else tellProblem(error)
    }
    busy = false
    dialog.draw()
  }
  return openDialog(
    dialog => html`<h2>${title}</h2>
      <form class="dialog-form" novalidate @submit=${(e: Event) => submit(e, dialog)}>
        ${fields(faults, dialog)}
        ${faults.has('') ? html`<p class="field-bad" role="alert"><span class="field-note">${faults.get('')}</span></p>` : nothing}
        <div class="dialog-buttons"><button type="button" class="button" @click=${() => dialog.close()}>${t('do.close')}</button><button class="button button-main">${button}</button></div>
      </form>
      ${below(dialog)}`,
  )
}

function choice(id: string, label: string, now: string, all: [value: string, text: string][], chosen: (value: string) => void) {
  return html`<div class="field"><label for=${id}>${label}</label><select id=${id} @change=${(e: Event) => chosen((e.target as HTMLSelectElement).value)}>
    ${all.map(([value, text]) => html`<option value=${value} ?selected=${value === now}>${text}</option>`)}</select></div>`
}

function roleChoice(role: Role, chosen: (role: Role) => void) {
  return html`<fieldset class="roles"><legend>${t('user.role')}</legend>
    ${ROLES.map(
      r => html`<label><input type="radio" name="role" value=${r} .checked=${r === role} @change=${() => chosen(r)}><span><strong>${tMaybe('role.' + r, r)}</strong> <span class="quiet">${t(`user.role.${r}` as TextKey)}</span></span></label>`,
    )}
  </fieldset>`
}

export function addUser(done: () => void) {
  const user = { name: '', role: 'user' as Role, team: '' }
  form(
    t('user.add'),
    t('user.add.do'),
    (faults, dialog) => html`
      ${field({ id: 'user-name', label: t('user.name'), hint: t('user.name.hint'), value: user.name, required: true, fault: faults.get('name'), input: v => (user.name = v) })}
      ${roleChoice(user.role, role => {
        user.role = role
        dialog.draw()
      })}
      ${field({ id: 'user-team', label: t('word.team'), hint: t('user.team.hint'), value: user.team, fault: faults.get('team'), input: v => (user.team = v) })}`,
    async dialog => {
      await post<User>('/api/v1/users', { name: user.name.trim(), role: user.role, ...(user.team.trim() ? { team: user.team.trim() } : {}) })
      tell(t('user.added', { user: user.name.trim() }))
      dialog.close()
      done()
    },
  )
}

export function changeUser(user: User, done: () => void) {
  const wanted = { role: user.role, team: user.team ?? '' }
  const fixed = user.name === FIXED
  const instead = (dialog: Dialog, what: () => void) => () => {
    dialog.close()
    what()
  }
  const actions = (dialog: Dialog) => html`<div class="dialog-more">
    ${user.disabled_at
      ? nothing
      : html`<button type="button" class="button" @click=${instead(dialog, () => signInLink(user.name))}>${t('link.make')}</button>
          <button type="button" class="button" @click=${instead(dialog, () => newToken([user.name], done))}>${t('token.make')}</button>`}
    <a class="button" href=${to('people', 'tokens', { user: user.name })} @click=${() => dialog.close()}>${t('user.tokens')}</a>
    ${fixed ? nothing : html`<span class="section-space"></span>
      ${user.disabled_at
        ? html`<button type="button" class="button" @click=${() => enable(user, dialog, done)}>${t('user.enable')}</button>`
        : html`<button type="button" class="button button-bad" @click=${() => disable(user, dialog, done)}>${t('user.disable')}</button>`}`}
  </div>`
  if (fixed) {
    openDialog(
      dialog => html`<h2>${user.name}</h2><p class="quiet">${t('user.fixed')}</p>${actions(dialog)}
        <div class="dialog-buttons"><button class="button" @click=${() => dialog.close()}>${t('do.close')}</button></div>`,
    )
    return
  }
  form(
    user.name,
    t('user.save'),
    (faults, dialog) => html`
      ${roleChoice(wanted.role, role => {
        wanted.role = role
        dialog.draw()
      })}
      ${field({
        id: 'user-team',
        label: t('word.team'),
        hint: user.team ? t('user.team.keep', { team: user.team }) : t('user.team.hint'),
        value: wanted.team,
        fault: faults.get('team'),
        input: v => (wanted.team = v),
      })}`,
    async dialog => {
      const team = wanted.team.trim()
      const body = { ...(wanted.role !== user.role ? { role: wanted.role } : {}), ...(team && team !== user.team ? { team } : {}) }
      if (Object.keys(body).length) {
        await change<User>('PATCH', path(user.name), body)
        tell(t('user.changed', { user: user.name }))
        done()
      }
      dialog.close()
    },
    actions,
  )
}

async function disable(user: User, dialog: Dialog, done: () => void) {
  dialog.close()
  if (!(await confirm(t('user.disable.ask', { user: user.name }), t('user.disable.what'), t('user.disable')))) return
  await attempt(() => change('DELETE', path(user.name)), t('user.disable.done', { user: user.name }))
  done()
}

async function enable(user: User, dialog: Dialog, done: () => void) {
  dialog.close()
  await attempt(() => change('PATCH', path(user.name), { disabled: false }), t('user.enable.done', { user: user.name }))
  done()
}

/** What is seen once: it stays until it is closed. */
function shownOnce(title: string, what: unknown) {
  openDialog(
    dialog => html`<h2>${title}</h2>
      <div class="dialog-form">${what}</div>
      <div class="dialog-buttons"><button class="button button-main" @click=${() => dialog.close()}>${t('do.close')}</button></div>`,
  )
}

export async function signInLink(user: string) {
  try {
    const link = await post<{ path: string; expires_at: Time }>('/api/v1/links', { user })
    const title = t('link.title', { user })
    shownOnce(title, html`${copyLine(location.origin + link.path, title)}<p>${t('link.once', { user, time: f.moment(link.expires_at) })}</p>`)
  } catch (error) {
    tellProblem(error)
  }
}

export function newToken(users: string[], done: () => void) {
  const token = { user: users[0] ?? '', name: '', expires: '90d' }
  const spans: [string, string][] = (['30d', '90d', '365d', 'never'] as const).map(v => [v, t(`token.expires.${v}`)])
  form(
    t('token.title'),
    t('token.make.do'),
    faults => html`
      ${users.length > 1 ? choice('token-user', t('token.for'), token.user, users.map(u => [u, u]), v => (token.user = v)) : html`<p><span class="quiet">${t('token.for')}</span> <strong>${token.user}</strong></p>`}
      ${field({ id: 'token-name', label: t('token.name'), hint: t('token.name.hint'), value: token.name, fault: faults.get('name'), input: v => (token.name = v) })}
      ${choice('token-expires', t('token.expires'), token.expires, spans, v => (token.expires = v))}`,
    async dialog => {
      const body = { user: token.user, ...(token.name.trim() ? { name: token.name.trim() } : {}), ...(token.expires === 'never' ? {} : { expires_in: token.expires }) }
      const made = await post<Token>('/api/v1/tokens', body)
      dialog.close()
      done()
      const title = t('token.made', { user: token.user })
      shownOnce(
        title,
        html`${copyLine(made.token ?? '', title)}<p>${t('token.once')}</p>
          <h3>${t('token.use')}</h3>${copyLine(`export REEVE_TOKEN=${made.token ?? ''}\nreeve queue --server ${location.origin}`, t('token.use'))}`,
      )
    },
  )
}

const isLoopback = () => /^(localhost|127\.|\[::1\])/.test(location.hostname)

export function invite(done: () => void) {
  const node = { name: '', expires: '1h' }
  const spans: [string, string][] = (['1h', '1d', '7d'] as const).map(v => [v, t(`enrol.expires.${v}`)])
  form(
    t('enrol.make'),
    t('token.make.do'),
    faults => html`
      ${field({ id: 'enrol-node', label: t('enrol.node'), hint: t('enrol.node.hint'), value: node.name, fault: faults.get('node'), input: v => (node.name = v) })}
      ${choice('enrol-expires', t('token.expires'), node.expires, spans, v => (node.expires = v))}`,
    async dialog => {
      const name = node.name.trim()
      const made = await post<{ token: string }>('/api/v1/enrolments', { ...(name ? { node: name } : {}), expires_in: node.expires })
      dialog.close()
      done()
      const insecure = location.protocol === 'http:' && !isLoopback() ? ' --insecure' : ''
      const lines = `(umask 077; echo ${made.token} > enrol.token)\nreeve-agent --server ${quote(location.origin)} --token-file enrol.token${name ? ` --node ${quote(name)}` : ''}${insecure}`
      shownOnce(t('enrol.made'), html`<p>${t('enrol.once')}</p>${copyLine(lines, t('enrol.made'))}${isLoopback() ? html`<p class="warn">${t('enrol.loopback', { host: location.host })}</p>` : nothing}`)
    },
  )
}
