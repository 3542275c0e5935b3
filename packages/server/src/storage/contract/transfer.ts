import type { Duration, Instant } from '../../lib/time.ts'
import type { ApiKey } from '../../model/access.ts'
import type { JobEvent } from '../../model/event.ts'
import type { Attempt, Job } from '../../model/job.ts'
import type { LogEvent } from '../../model/log-event.ts'
import type { Operation } from '../../model/operation.ts'
import type { QueueSettings } from '../../model/queue.ts'
import type { CapturedRequest } from '../../model/request.ts'
import type { WorkerInfo } from '../../model/worker.ts'
import type { StoredResult } from './results.ts'
import type { StatsSums } from './stats.ts'

/**
 * Moving everything to another database: as records in which no database's layout shows. What follows from them, such as
 * counts and the places of concurrency keys, is not moved but reckoned anew.
 */
export interface TransferStore {
  count(): Promise<Readonly<Record<RecordKind, number>>>

  /**
   * A page of records, in an order of the driver's own that does not change while nobody writes. It may be shorter than
   * `limit` where the records are large (`CHARACTERS_AT_ONCE`).
   * @param after the `next` of the page before; `null` for the first page.
   * @returns `next` is `null` at the end.
   */
  read<Kind extends RecordKind>(params: {
    readonly kind: Kind
    readonly after: string | null
    readonly limit: number
  }): Promise<RecordPage<Kind>>

  /** What is being copied into this database; `null` when nothing is. A server does not start on half of a copy. */
  unfinished(): Promise<TransferProgress | null>

  /**
   * Makes an empty database ready to be filled. Where the same copy was begun before, tells how far it got.
   * @param params.source the database that is copied, by a name for people.
   * @throws `database_not_empty` where there is anything that did not come from this copy.
   */
  begin(params: { readonly source: string }): Promise<TransferProgress>

  /** Stores a page, and in the same transaction that the copy has got to its `next`. */
  write<Kind extends RecordKind>(params: {
    readonly now: Instant
    readonly kind: Kind
    readonly page: RecordPage<Kind>
  }): Promise<void>

  /** Reckons what follows from the records. From here on the database is as any other. */
  finish(): Promise<void>
}

export interface TransferProgress {
  readonly source: string
  /** Where to go on reading the source; `null` for a kind of which everything is copied. A kind not begun yet is missing. */
  readonly next: Readonly<Partial<Record<RecordKind, string | null>>>
}

export interface RecordPage<Kind extends RecordKind> {
  readonly records: readonly Records[Kind][]
  readonly next: string | null
}

/** What there is of each kind. */
export interface Records {
  readonly counters: CountersRecord
  readonly queue: QueueRecord
  readonly request: RequestRecord
  readonly event: JobEvent
  readonly operation: OperationRecord
  readonly worker: WorkerInfo
  readonly key: KeyRecord
  readonly idempotency: IdempotencyRecord
  readonly usage: UsageRecord
  readonly stats: StatsRecord
  readonly logEvent: LogEventRecord
  readonly follower: FollowerRecord
}

export type RecordKind = keyof Records

/** In the order in which they are copied: what is named comes before what names it. */
export const RECORD_KINDS: readonly RecordKind[] = [
  'counters',
  'queue',
  'request',
  'event',
  'operation',
  'worker',
  'key',
  'idempotency',
  'usage',
  'stats',
  'logEvent',
  'follower',
]

/** One record: what the next ids will be, since none is ever given twice. */
export interface CountersRecord {
  readonly nextRequest: number
  /** When the newest request was received. */
  readonly lastReceivedAt: Instant
  readonly nextEvent: number
  readonly nextOperation: number
  readonly nextLogEvent: number
}

export interface QueueRecord extends QueueSettings {
  readonly name: string
  readonly createdAt: Instant
  readonly version: number
}

/** A request with its job, where it made one. */
export interface RequestRecord extends Omit<CapturedRequest, 'queue'> {
  readonly job: JobOfRequest | null
}

export interface JobOfRequest extends Omit<Job, 'id' | 'createdAt'> {
  /** The longest that a lease of the running attempt may last; `null` without a time-out. */
  readonly deadline: Instant | null
  /** What a retry put in the body's place. */
  readonly payload: string | null
  readonly result: Omit<StoredResult, 'jobId'> | null
  /** Those that ended, but for the one that completed the job: the job itself tells of that. */
  readonly attempts: readonly Attempt[]
}

export type OperationRecord = Operation & {
  /** The last job looked at, or the time of the last log event. */
  readonly position: number
  /** Of the last log event looked at; 0 for operations on jobs. */
  readonly sequence: number
  /** The newest job, or the sequence of the newest log event, when it was asked for. */
  readonly upto: number
}

export interface KeyRecord extends ApiKey {
  readonly hash: string
}

/** An answer kept for repeated calls: that to a submit names a request, any other has a status and a body once it is given. */
export interface IdempotencyRecord {
  readonly key: string
  readonly fingerprint: string | null
  readonly submitted: { readonly id: number; readonly hasJob: boolean } | null
  readonly answer: { readonly status: number; readonly body: string } | null
  readonly expiresAt: Instant
}

/** Starts that count against a rate limit. */
export interface UsageRecord {
  readonly queue: string
  /** `null` for the limit of the queue itself. */
  readonly key: string | null
  /** When the slice of time begins. */
  readonly slice: Instant
  readonly used: number
}

export interface StatsRecord extends StatsSums {
  readonly queue: string
  /** A minute or an hour. */
  readonly span: Duration
  readonly at: Instant
}

export interface LogEventRecord extends LogEvent {
  readonly sequence: number
}

/** Who follows log events, and the sequence up to which all are done; some after it may be. */
export interface FollowerRecord {
  readonly name: string
  readonly sequence: number
}
