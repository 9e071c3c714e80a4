// States as a shape, a colour and a word: never the colour alone.
import { html } from 'lit'
import type { Device, Job, Node } from '../server/types.ts'
import { tMaybe, t } from '../texts/index.ts'
import { icon, type IconName } from './icon.ts'

const jobIcons: Record<string, IconName> = {
  Queued: 'clock',
  Scheduled: 'dots',
  Running: 'play',
  Completed: 'check',
  Failed: 'cross',
  Cancelled: 'dash',
}

export function jobState(job: Pick<Job, 'state' | 'held'>) {
  const held = job.held && job.state === 'Queued'
  const name = held ? 'held' : job.state
  return html`<span class="state state-${name.toLowerCase()}">${icon(held ? 'pause' : (jobIcons[job.state] ?? 'dots'))}${tMaybe('state.' + name, name)}</span>`
}

const deviceIcons: Record<string, IconName> = { available: 'check', allocated: 'play', busy: 'dots', faulty: 'alert', unknown: 'dash' }

export function deviceState(device: Pick<Device, 'state'>) {
  return html`<span class="state device-${device.state}">${icon(deviceIcons[device.state] ?? 'dots')}${tMaybe('device.' + device.state, device.state)}</span>`
}

const nodeIcons: Record<string, IconName> = { ready: 'check', unknown: 'alert', lost: 'cross', enrolled: 'dots' }

export function nodeState(node: Pick<Node, 'state'>) {
  return html`<span class="state node-${node.state}">${icon(nodeIcons[node.state] ?? 'dots')}${tMaybe('node.' + node.state, node.state)}</span>`
}

export function userName(user: string | null | undefined, me: string | undefined) {
  if (!user) return html`<span class="quiet">–</span>`
  return user === me ? html`${user} <span class="quiet">(${t('word.you')})</span>` : html`${user}`
}
