// What several pages look at: asked once for all of them.
import { Resource } from './resource.ts'
import type { Device, Event, Job, Node, Page, Queue, Samples, Status } from './types.ts'

const aboutJobs = (e: Event) => /^(job|attempt)\./.test(e.kind)
const aboutFleet = (e: Event) => /^(node|device|attempt)\./.test(e.kind)

export const status = new Resource<Status>('/api/v1/status', { on: e => aboutJobs(e) || aboutFleet(e), every: 5_000, calm: 1_000 })

export const nodes = new Resource<Page<Node>>('/api/v1/nodes?limit=1000', { on: aboutFleet, every: 5_000, calm: 1_000 })

export const devices = new Resource<Page<Device>>('/api/v1/devices?limit=1000', { on: aboutFleet, every: 2_500, calm: 1_000 })

const recent = (of: 'devices' | 'nodes', span: string) => `/api/v1/samples?of=${of}&${span}`
const HOUR = 'since=1h&step=30s'
const QUARTER = 'since=15m&step=10s'

/** The last hour of every device and node. */
export const deviceHour = new Resource<Samples>(recent('devices', HOUR), { every: 10_000 })
export const nodeHour = new Resource<Samples>(recent('nodes', HOUR), { every: 10_000 })

/** A server that has just begun knows no hour: its last quarter then. Says whether it is so. */
export function lookBack(uptimeMs: number | undefined): boolean {
  const young = (uptimeMs ?? Infinity) < 900_000
  const span = young ? QUARTER : HOUR
  deviceHour.setPath(recent('devices', span), true)
  nodeHour.setPath(recent('nodes', span), true)
  return young
}

/** The first of those that wait. */
export const queueHead = new Resource<Queue>('/api/v1/queue?limit=20', { on: aboutJobs, every: 10_000, calm: 500 })

/** Who has a place now. */
export const running = new Resource<Page<Job>>('/api/v1/jobs?state=Running,Scheduled&limit=200', {
  on: aboutJobs,
  every: 2_000,
  calm: 500,
})
