import type { Backoff } from '../../../lib/backoff.ts'
import type { Duration, Instant } from '../../../lib/time.ts'
import type { Role } from '../../../model/access.ts'
import type { EventKind, EventLevel } from '../../../model/event.ts'
import type { AttemptOutcome, JobError, Progress } from '../../../model/job.ts'
import type { LogEventFields } from '../../../model/log-event.ts'
import type { OperationAction, OperationState } from '../../../model/operation.ts'
import type { QueueSettings } from '../../../model/queue.ts'
import type { UsedSlice } from '../../../model/rate-limit.ts'
import type { RequestSource } from '../../../model/request.ts'
import type { RecordKind } from '../../contract/transfer.ts'
import type { Stage } from '../../sql/stages.ts'
import type { Sums } from './sums.ts'
import type { Text, TextParts } from './texts.ts'

/**
 * What each collection holds. Instants and durations are whole microseconds. A field that has no value is left out, never
 * null: indexes pass over what is not there, and documents are shorter.
 */

/** What every document of the driver has. */
export interface Stored {
  readonly _id: string | number
  /** Number of the commit that wrote the document last; kept by the journal. A late write never replaces a later one. */
  readonly commit?: number
  /** Of a document that was deleted: when. Only `_id`, `commit` and this are left of it; `upkeep.prune` removes it. */
  readonly deletedAt?: Instant
}

export interface MetaDocument {
  readonly source: RequestSource
  readonly sourceIp?: string
  readonly userAgent?: string
  readonly method: string
  readonly url: string
  /** JSON: names of headers may be what no field may be named. */
  readonly headers?: string
  readonly contentType?: string
}

/** A request and, where it made one, its job: they share an id, so they share a document. */
export interface RequestDocument extends Stored {
  readonly _id: number
  readonly receivedAt: Instant
  /** How it came in; left out for a plain submit of the native API, which most are. */
  readonly meta?: MetaDocument
  readonly body: Text
  readonly handled?: true

  readonly queue?: string
  /** Of the job. A request without a job has none, nor any of the fields below. */
  readonly stage?: Stage
  readonly priority?: number
  readonly runAt?: Instant
  readonly startedAt?: Instant
  readonly finishedAt?: Instant
  readonly attempt?: number
  readonly fence?: number
  readonly worker?: string
  readonly leaseUntil?: Instant
  /** Of a running job with a time-out: no lease lasts longer. */
  readonly deadline?: Instant
  readonly concurrencyKey?: string
  readonly uniqueKey?: string
  /** The unique key, while the job is pending or running. */
  readonly holds?: string
  readonly maxAttempts?: number
  readonly backoff?: Backoff
  readonly timeout?: Duration
  /** JSON, as `meta.headers`. */
  readonly labels?: string
  /** What the labels are found by: each as `name` and as `name=value`. */
  readonly terms?: readonly string[]
  readonly cancelRequested?: true
  readonly reason?: string
  readonly statusLabel?: string
  readonly progress?: Progress
  /** What a retry put in the place of the body. */
  readonly payload?: Text
  readonly result?: { readonly at: Instant; readonly value: Text }
}

/** A request that made a job. */
export type JobDocument = RequestDocument &
  Required<Pick<RequestDocument, 'queue' | 'stage' | 'priority' | 'runAt' | 'attempt' | 'fence'>>

export const isJob = (document: RequestDocument): document is JobDocument => document.stage !== undefined

/** A part of a text that is too long for the document it belongs to. */
export interface TextDocument extends Stored {
  readonly _id: string
  readonly text: string
}

/** An attempt that did not complete its job, or one of a job that was run again. `_id`: the job and the fence. */
export interface AttemptDocument extends Stored {
  readonly _id: string
  readonly jobId: number
  readonly fence: number
  readonly attempt: number
  readonly worker?: string
  readonly startedAt: Instant
  readonly finishedAt: Instant
  readonly outcome: AttemptOutcome
  readonly error?: JobError
}

export interface EventDocument extends Stored {
  readonly _id: number
  readonly jobId: number
  readonly at: Instant
  readonly kind: EventKind
  readonly level: EventLevel
  readonly message: Text
  readonly data?: Text
}

export interface QueueDocument extends Stored {
  /** The name. */
  readonly _id: string
  readonly settings: QueueSettings
  readonly createdAt: Instant
  readonly version: number
  /** How many of its jobs are in each stage, by stage. */
  readonly counts: readonly number[]
  /** Starts that its rate limit counts. */
  readonly starts?: readonly UsedSlice[]
  /** No scheduled job is due before this, and no lane has to be looked at before that: what spares most claims a query. */
  readonly dueAt?: Instant
  readonly wakeAt?: Instant
}

/** A concurrency key that was used. `_id`: see `laneId`. */
export interface LaneDocument extends Stored {
  readonly _id: string
  readonly queue: string
  readonly key: string
  readonly running: number
  readonly ready: number
  readonly held: number
  /** When to look again for a free place. */
  readonly wakeAt?: Instant
  /** Since when no job of the key waits or runs. */
  readonly idleAt?: Instant
  /** Starts that the rate limit of the keys counts. */
  readonly starts?: readonly UsedSlice[]
}

/** What happened in a queue in so many minutes, 1 or 60, from `start` on (minutes since the epoch). `_id`: see `statsId`. */
export interface StatsDocument extends Stored, Sums {
  readonly _id: string
  readonly queue: string
  readonly span: number
  readonly start: number
}

export interface IdempotencyDocument extends Stored {
  /** The key. */
  readonly _id: string
  readonly fingerprint?: string
  /** Of a submit. */
  readonly request?: { readonly id: number; readonly hasJob: boolean }
  /** Of any other call, once it is answered. */
  readonly answer?: { readonly status: number; readonly body: string }
  readonly expiresAt: Instant
}

export interface WorkerDocument extends Stored {
  readonly _id: string
  readonly queues: readonly string[]
  readonly firstSeenAt: Instant
  readonly lastSeenAt: Instant
  readonly draining: boolean
  readonly agent?: string
}

export interface OperationDocument extends Stored {
  readonly _id: number
  readonly action: OperationAction
  /** JSON. */
  readonly filter: string
  readonly state: OperationState
  /** The last job id looked at, or the time of the last log event. */
  readonly position: number
  /** Of the last log event looked at. */
  readonly sequence?: number
  /** The newest job id, or sequence of a log event, when it was asked for. */
  readonly upto: number
  readonly examined: number
  readonly changed: number
  readonly skipped: number
  readonly createdAt: Instant
  readonly createdBy: string
  readonly finishedAt?: Instant
}

export interface KeyDocument extends Stored {
  readonly _id: string
  /** SHA-256 of the key, hexadecimal. */
  readonly hash: string
  readonly name: string
  readonly role: Role
  readonly queues?: readonly string[]
  readonly createdAt: Instant
  readonly createdBy: string
  readonly expiresAt?: Instant
  readonly lastUsedAt?: Instant
}

/** The lease of the leader; one document. */
export interface LeaderDocument extends Stored {
  readonly _id: 'leader'
  readonly holder: string
  readonly term: number
  readonly until: Instant
}

/** Where the sweep for what has outlived its retention goes on; one document, none between two rounds. */
export interface SweepDocument extends Stored {
  readonly _id: 'sweep'
  /** Left out for requests without a job. */
  readonly queue?: string
  /** The last id looked at. */
  readonly position: number
}

/** An event that another system logged, with the fields that it is found by. `_id`: its id. */
export interface LogEventDocument extends Stored, LogEventFields {
  readonly _id: string
  /** Rises in the order of arrival, and is never given twice. */
  readonly sequence: number
  readonly type: string
  readonly at: Instant
  /** Of the event's text, in UTF-16 units. */
  readonly size: number
  /** The event as it is given back, JSON; or where the parts of it stand. */
  readonly document?: string
  readonly parts?: TextParts
}

/** How many log events of a type happened in `span` minutes from `start` on. `_id`: see `countId`. */
export interface LogEventCountDocument extends Stored {
  readonly _id: string
  readonly span: number
  readonly start: number
  readonly type: string
  readonly events: number
}

/** Up to which sequence a follower has got. `_id`: its name. */
export interface LogEventFollowerDocument extends Stored {
  readonly _id: string
  readonly sequence: number
}

/** Up to which sequence log events are in their places; one document. */
export interface LogEventArrivalsDocument extends Stored {
  readonly _id: 'arrivals'
  readonly sequence: number
}

/** How far a copy into this database has got. */
export interface TransferDocument extends Stored {
  /** A kind of record, or `source`, whose `next` is the name of what is copied. */
  readonly _id: RecordKind | 'source'
  /** Left out where everything of the kind is copied. */
  readonly next?: string
}

/** The collections, by the names that the driver has for them; in the database they bear the prefix `octoflow_`. */
export interface Collections {
  readonly requests: RequestDocument
  readonly texts: TextDocument
  readonly attempts: AttemptDocument
  readonly events: EventDocument
  readonly queues: QueueDocument
  readonly lanes: LaneDocument
  readonly stats: StatsDocument
  readonly idempotency: IdempotencyDocument
  readonly workers: WorkerDocument
  readonly operations: OperationDocument
  readonly keys: KeyDocument
  readonly leader: LeaderDocument
  readonly sweeps: SweepDocument
  readonly logEvents: LogEventDocument
  readonly logEventCounts: LogEventCountDocument
  readonly logEventFollowers: LogEventFollowerDocument
  readonly logEventArrivals: LogEventArrivalsDocument
  readonly transfer: TransferDocument
}

export type CollectionName = keyof Collections

/** A part of a name that ends where the next begins, whatever stands in either. */
export const laneId = (queue: string, key: string): string => `${queue.length}:${queue}${key}`
export const statsId = (queue: string, span: number, start: number): string => `${span}:${start}:${queue}`
export const countId = (span: number, start: number, type: string): string => `${span}:${start}:${type}`
export const attemptId = (jobId: number, fence: number): string => `${jobId}:${fence}`
