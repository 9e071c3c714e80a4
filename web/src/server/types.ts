// What the API answers, as far as the page uses it. schema/openapi.yaml is the source; a test holds this
// file's names against it.

export type Time = string | null
export type JobState = 'Queued' | 'Scheduled' | 'Running' | 'Completed' | 'Failed' | 'Cancelled'
export type Role = 'admin' | 'operator' | 'user' | 'viewer' | 'service'

export interface Page<T> {
  items: T[]
  next_cursor: string | null
}

export interface Progress {
  done: number | null
  total: number | null
  percent: number
}

export interface DeviceRef {
  id?: number
  node: string
  index: number
  uuid?: string | null
  model?: string | null
}

/** One who holds what a waiting job lacks. */
export interface Holder {
  job?: number
  user?: string | null
  node?: string | null
  device?: number | null
}

export interface Why {
  code?: string | null
  sentence: string
  held_by?: Holder[]
}

export interface Attempt {
  n: number
  id?: string
  state: 'Decided' | 'Started' | 'Ended' | 'Lost'
  node?: string | null
  devices?: DeviceRef[]
  decided_at?: Time
  started_at?: Time
  ended_at?: Time
  outcome?: string | null
  exit_code?: number | null
  signal?: number | null
  reason?: string | null
  run_ms?: number | null
  energy_joules?: number | null
  energy_measured?: boolean | null
  cost_micros?: number | null
  currency?: string
  results?: Results | null
  /** What it left as result.json. */
  metadata?: Record<string, unknown> | null
}

export interface Results {
  node?: string | null
  path?: string | null
  files?: { name: string; size: number }[]
}

/** Fields that the reader may not see are absent. */
export interface Job {
  id: number
  name?: string
  user: string | null
  team?: string | null
  state: JobState
  position: number | null
  reason?: string | null
  reason_code?: string | null
  held?: boolean
  attempt: number
  submitted_at: Time
  scheduled_at?: Time
  started_at?: Time
  ended_at?: Time
  expected_start_at?: Time
  expected_order?: number | null
  expected_basis?: string | null
  wait_ms?: number | null
  run_ms?: number | null
  progress?: Progress | null
  exit_code?: number | null
  node?: string | null
  devices?: DeviceRef[]
  gpus?: number
  gpu_memory?: number | null
  cpu?: number | null
  memory?: number | null
  time_limit?: number | null
  retries?: number
  exclusive?: boolean
  labels?: Record<string, string>
  command?: string[]
  env?: Record<string, string>
  work_dir?: string | null
  config_file?: string | null
  runner?: string | null
  template?: { name: string } | null
  progress_pattern?: string | null
  energy_joules?: number | null
  cost_micros?: number | null
  currency?: string
  warnings?: string[]
  attempts?: Attempt[]
  why?: Why | null
}

export interface Queue extends Page<Job> {
  queue_length: number
  running: number
}

/** What a device's time went to, in microseconds; the parts add up to the whole. */
export interface DeviceTime {
  jobs_us: number
  reserved_us: number
  idle_us: number
  maintenance_us: number
  faulty_us: number
  foreign_us: number
  unmeasured_us: number
  system_us: number
  total_us: number
}

export type DeviceState = 'available' | 'allocated' | 'busy' | 'faulty' | 'unknown'

export interface Device {
  id: number
  node: string
  index: number
  uuid?: string | null
  vendor?: string | null
  model?: string | null
  state: DeviceState
  memory_total_mib?: number | null
  memory_used_mib?: number | null
  gpu_utilization?: number | null
  power_watts?: number | null
  temperature_celsius?: number | null
  health?: string | null
  job?: { id: number; user?: string | null } | null
  time?: DeviceTime
}

export interface Node {
  id?: number
  name: string
  state: 'enrolled' | 'ready' | 'unknown' | 'lost'
  since: Time
  version?: string | null
  cpu?: number | null
  memory?: number | null
  isolation?: string | null
  connected?: boolean
  devices: Device[]
  skew_ms?: number | null
  last_report_at?: Time
}

export interface Percentiles {
  p50: number | null
  p99: number | null
}

export interface Status {
  version: string
  site?: string
  uptime_ms?: number
  now?: Time
  queue_length: number
  running: number
  nodes?: { total: number; enrolled?: number; ready?: number; unknown?: number; lost?: number }
  devices?: { total: number; available?: number; allocated?: number; busy?: number; faulty?: number; unknown?: number }
  completed?: number
  failed?: number
  cancelled?: number
  submit_to_start_ms?: Percentiles
  wait_to_start_ms?: Percentiles
  status_latency_ms?: Percentiles
  gpu_busy_percent?: number | null
  wait_run_ratio?: number | null
  ledger_seq?: number
  disk_full?: boolean
  argo?: { url: string; namespace: string } | null
  cost_today_micros?: number
  currency?: string
  energy_today_joules?: number
  time?: DeviceTime
}

/** Figures over time, one row for each device or node; null is a gap. */
export interface Samples {
  start: Time
  step_ms: number
  points: number
  items: SampleRow[]
}

export interface SampleRow {
  id: number | string
  gpu_utilization?: (number | null)[]
  memory_used_mib?: (number | null)[]
  power_watts?: (number | null)[]
  temperature_celsius?: (number | null)[]
  cpu_usage?: (number | null)[]
  memory_usage?: (number | null)[]
}

export interface Whoami {
  user: string
  role: Role
  permissions: string[]
  scopes?: Record<string, string>
}

export interface Session extends Whoami {
  token: string
  expires_at: Time
}

export interface User {
  name: string
  role: Role
  team?: string | null
  created_at?: Time
  disabled_at?: Time
}

export interface Token {
  id: number
  user: string
  name?: string | null
  kind?: string
  token?: string
  created_at?: Time
  expires_at?: Time
  revoked_at?: Time
}

export interface Enrolment {
  id: number
  node?: string | null
  created_at?: Time
  expires_at?: Time
  used_at?: Time
}

export interface LedgerRow {
  seq: number
  time: Time
  kind: string
  subject: number | null
  subject_name?: string | null
  actor: string | null
  on_behalf?: string | null
  /** In the reader's language. */
  why?: string | null
  body: Record<string, unknown> | null
  hash: string | null
}

export interface Verified {
  rows: number
  ok: boolean
  first_bad: number | null
  head: string | null
  erased?: number
  detail?: string | null
}

export interface Replayed {
  plans: number
  identical: boolean
  first_different: number | null
  /** Row of the snapshot that it began with. */
  began?: number | null
  detail?: string | null
}

export interface HistoryRow {
  seq: number
  time: Time
  event: string
  state?: JobState | null
  reason?: string | null
  actor?: string | null
  attempt?: number | null
  node?: string | null
  devices?: DeviceRef[]
  outcome?: string | null
  exit_code?: number | null
  signal?: number | null
}

export interface Template {
  name: string
  description?: string | null
  parameters: { name: string; required: boolean; description?: string | null; example?: string | null }[]
  command?: string[]
  gpus?: number
  /** As for POST /api/v1/jobs. */
  job?: Record<string, unknown>
}

export interface DryRun {
  valid: boolean
  position: number | null
  queue_length: number
  starts_now: boolean
  reason: string | null
}

/** One event of the stream. */
export interface Event {
  seq: number
  time: Time
  kind: string
  job?: number | null
  user?: string | null
  state?: string | null
  attempt?: number
  node?: string | null
  device?: number
  devices?: number[]
  health?: string
  subject?: number
}
