import type { Instant } from '../../lib/time.ts'
import type { Job } from '../../model/job.ts'
import type { JobFilter } from '../../model/job-filter.ts'
import type { LogEventFilter } from '../../model/log-event.ts'
import type { JobAction, Operation, OperationAction, OperationState } from '../../model/operation.ts'
import type { MovedJob } from '../contract/storage.ts'
import type { JobTransaction } from './job-transaction.ts'
import { outlineLogEvents } from './log-event-listing.ts'
import type { LogEventReader } from './log-event-reader.ts'
import { stateOf } from './stages.ts'
import { cancelJob, retryJobs, type SteeringStatements } from './steering.ts'
import { type JobReader, listJobs } from './stored-jobs.ts'

export type OperationRecord = readonly [
  id: number,
  action: OperationAction,
  filter: string,
  state: OperationState,
  position: number,
  sequence: number,
  upto: number,
  examined: number,
  changed: number,
  skipped: number,
  createdAt: Instant,
  createdBy: string,
  finishedAt: Instant | null,
]

export const toOperation = (record: OperationRecord): Operation => {
  const [id, action, filter, state, , , , examined, changed, skipped, createdAt, createdBy, finishedAt] = record
  return { id, action, filter: JSON.parse(filter), state, examined, changed, skipped, createdAt, createdBy, finishedAt }
}

export const OPERATION_COLUMNS =
  'id, action, filter, state, position, sequence, upto, examined, changed, skipped, created_at, created_by, finished_at'

/** What an operation does with jobs and log events. */
export interface OperationVerbs<In> {
  readonly jobs: JobReader<In> & SteeringStatements<In>
  logEventsOf(transaction: In): LogEventReader
}

interface OperatingTransaction extends JobTransaction {
  readonly logEvents: { remove(sequences: readonly number[]): Promise<number> }
}

/** What one step of an operation came to, to be added to its row. */
export interface OperationStep {
  readonly position: number
  readonly sequence: number
  readonly examined: number
  readonly changed: number
  readonly skipped: number
  readonly done: boolean
  readonly moved: readonly MovedJob[]
}

/** Acts on the next jobs or log events of an operation whose row is locked. */
export function stepOperation<In extends OperatingTransaction>(
  transaction: In,
  verbs: OperationVerbs<In>,
  record: OperationRecord,
  { limit, note, now }: { readonly limit: number; readonly note: string; readonly now: Instant },
): Promise<OperationStep> {
  const [, action] = record
  if (action === 'delete_log_events') return deleteLogEvents(transaction, verbs, record, limit)
  return stepJobs(transaction, verbs, record, limit, (jobs) => act(transaction, verbs, action, jobs, note, now), now)
}

async function stepJobs<In extends OperatingTransaction>(
  transaction: In,
  verbs: OperationVerbs<In>,
  [, , filterText, , position, , upto]: OperationRecord,
  limit: number,
  actOn: (jobs: readonly Job[]) => Promise<readonly Job[]>,
  now: Instant,
): Promise<OperationStep> {
  const filter = JSON.parse(filterText) as JobFilter
  // Jobs change their place in the lists as they are acted on, but never their id: the way through is by id.
  const page = await listJobs(transaction, verbs.jobs, filter, { order: 'asc', after: position, limit })
  const jobs = page.items.filter((job) => job.id <= upto)
  const changed = await actOn(jobs)
  await transaction.lanes.balance(now)
  const last = jobs.at(-1)?.id ?? position
  return {
    position: page.next === null ? last : Math.max(last, page.next),
    sequence: 0,
    examined: jobs.length,
    changed: changed.length,
    skipped: jobs.length - changed.length,
    done: page.next === null || page.next >= upto,
    moved: changed.flatMap(({ id, queue, state: before }) => {
      const job = transaction.jobs.find(id)
      const state = job === undefined ? before : stateOf(job.stage)
      return state === before ? [] : [{ id, queue, state }]
    }),
  }
}

/** Goes through the events in order of time, of which none changes its place. */
async function deleteLogEvents<In extends OperatingTransaction>(
  transaction: In,
  { logEventsOf }: OperationVerbs<In>,
  [, , filterText, , position, sequence, upto, examined]: OperationRecord,
  limit: number,
): Promise<OperationStep> {
  const filter = JSON.parse(filterText) as LogEventFilter
  const after = examined === 0 && sequence === 0 ? 0 : { at: position, sequence }
  const page = await outlineLogEvents(logEventsOf(transaction), { filter, order: 'asc', after, limit })
  const concerned = page.outlines.map((outline) => outline.sequence).filter((found) => found <= upto)
  const deleted = await transaction.logEvents.remove(concerned)
  const place = page.next ?? { at: position, sequence }
  return {
    position: place.at,
    sequence: place.sequence,
    examined: deleted,
    changed: deleted,
    skipped: 0,
    done: page.next === null,
    moved: [],
  }
}

/** @returns the jobs that were acted on. */
async function act<In extends OperatingTransaction>(
  transaction: In,
  verbs: OperationVerbs<In>,
  action: JobAction,
  jobs: readonly Job[],
  note: string,
  now: Instant,
): Promise<readonly Job[]> {
  const ids = jobs.map(({ id }) => id)
  switch (action) {
    case 'retry': {
      const items = ids.map((id) => ({ id, payload: null, queue: null }))
      const errors = await retryJobs(transaction, verbs.jobs, items, note, now)
      return jobs.filter((_, index) => errors[index] === null)
    }
    case 'cancel':
      await transaction.jobs.lock(ids)
      return jobs.filter(({ id }) => cancelJob(transaction, verbs.jobs, id, 'cancelled', note, now) === null)
    case 'delete': {
      const deleted = await transaction.jobs.delete(ids)
      return jobs.filter(({ id }) => deleted.has(id))
    }
  }
}
