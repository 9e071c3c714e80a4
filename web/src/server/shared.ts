// What several pages look at: asked once for all of them.
import { Resource } from './resource.ts'
import type { Device, Event, Job, Node, Page, Queue, Samples, Status } from './types.ts'

const aboutJobs = (e: Event) => /^(job|attempt)\./.test(e.kind)
const aboutFleet = (e: Event) => /^(node|device|attempt)\./.test(e.kind)

export const status = new Resource<Status>('/api/v1/status', { on: e => aboutJobs(e) || aboutFleet(e), every: 5_000, calm: 1_000 })

export const nodes = new Resource<Page<Node>>('/api/v1/nodes?limit=1000', { on: aboutFleet, every: 5_000, calm: 1_000 })

export const devices = new Resource<Page<Device>>('/api/v1/devices?limit=1000', { on: aboutFleet, every: 2_500, calm: 1_000 })

/** The last hour of every device, a point each half minute. */
export const deviceHour = new Resource<Samples>('/api/v1/samples?of=devices&since=1h&step=30s', { every: 15_000 })

export const nodeHour = new Resource<Samples>('/api/v1/samples?of=nodes&since=1h&step=30s', { every: 15_000 })

/** The first of those that wait. */
export const queueHead = new Resource<Queue>('/api/v1/queue?limit=20', { on: aboutJobs, every: 10_000, calm: 500 })

/** Who has a place now. */
export const running = new Resource<Page<Job>>('/api/v1/jobs?state=Running,Scheduled&limit=200', {
  on: aboutJobs,
  every: 2_000,
  calm: 500,
})
