import {
  Backoff,
  Id,
  ItemResult,
  JobError,
  JobState,
  Key,
  Labels,
  NamesQuery,
  Next,
  NullableTimestamp,
  PageQuery,
  Priority,
  QueueName,
  Timestamp,
} from './common.ts'
import { type Static, type TSchema, Type } from './type.ts'

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

export const SubmitJob = Type.Object(
  {
    queue: QueueName,
    payload: Type.Optional(Type.Unknown({ description: 'Any JSON value; `{}` if left out.' })),
    priority: Type.Optional(Priority),
    runAt: Type.Optional(Type.String({ description: 'ISO 8601; not started before.' })),
    delaySeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 315_360_000, description: 'Instead of `runAt`.' })),
    maxAttempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Left out: as its queue says.' })),
    backoff: Type.Optional(Backoff),
    uniqueKey: Type.Optional(
      Type.String({ ...Key, description: 'While a pending or running job of the queue has it, no second one is made.' }),
    ),
    concurrencyKey: Type.Optional(
      Type.String({ ...Key, description: 'Of the jobs of the queue with the same one, only so many run at once.' }),
    ),
    timeoutSeconds: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, maximum: 31_536_000, description: 'How long an attempt may take.' }),
    ),
    labels: Type.Optional(Labels),
  },
  { additionalProperties: false, examples: [{ queue: 'emails', payload: { to: 'ada@example.com' } }] },
)
export type SubmitJob = Static<typeof SubmitJob>

export const SubmitOutcome = Type.Enum(['created', 'repeated', 'existing'], {
  description: '`repeated`: the idempotency key was known. `existing`: that job holds the unique key.',
})

export const Submitted = Type.Object({ id: Id, queue: QueueName, outcome: SubmitOutcome })
export type Submitted = Static<typeof Submitted>

export const SubmittedItem = Type.Object({
  ok: Type.Boolean(),
  id: Type.Optional(Id),
  outcome: Type.Optional(SubmitOutcome),
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
})
export type SubmittedItem = Static<typeof SubmittedItem>

export const Progress = Type.Object({
  fraction: nullable(Type.Number({ minimum: 0, maximum: 1 })),
  message: nullable(Type.String({ maxLength: 1024 })),
})
export type Progress = Static<typeof Progress>

export const Job = Type.Object({
  id: Id,
  requestId: Id,
  queue: QueueName,
  state: JobState,
  priority: Priority,
  createdAt: Timestamp,
  runAt: Timestamp,
  startedAt: NullableTimestamp,
  finishedAt: NullableTimestamp,
  attempt: Type.Integer({ description: 'The current or last attempt, counted from 1.' }),
  maxAttempts: nullable(Type.Integer({ description: 'null: as its queue says.' })),
  backoff: nullable(Backoff),
  leaseUntil: NullableTimestamp,
  worker: nullable(Type.String({ description: 'Who works on it, or did last: the name stays when it is run again.' })),
  uniqueKey: nullable(Type.String()),
  concurrencyKey: nullable(Type.String()),
  timeoutSeconds: nullable(Type.Number()),
  labels: Labels,
  statusLabel: nullable(Type.String()),
  progress: nullable(Progress),
  cancelRequested: Type.Boolean({ description: 'Whether it was asked to end while it runs, and has not ended yet.' }),
  reason: nullable(Type.String({ description: 'Why it is dead or was cancelled.' })),
})
export type Job = Static<typeof Job>

export const AttemptOutcome = Type.Enum([
  'completed',
  'failed',
  'snoozed',
  'released',
  'cancelled',
  'discarded',
  'lease_expired',
])

export const Attempt = Type.Object({
  attempt: Type.Integer(),
  worker: nullable(Type.String()),
  startedAt: Timestamp,
  finishedAt: NullableTimestamp,
  outcome: nullable(AttemptOutcome),
  error: nullable(JobError),
})
export type Attempt = Static<typeof Attempt>

export const JobDetail = Type.Object({
  ...Job.properties,
  payload: Type.Unknown(),
  attempts: Type.Array(Attempt, { description: 'The last 1000, oldest first.' }),
  result: Type.Unknown({ description: 'What the handler returned; null if nothing.' }),
  error: nullable(JobError),
})
export type JobDetail = Static<typeof JobDetail>

export const JobFilterQuery = {
  queue: Type.Optional(NamesQuery),
  state: Type.Optional(NamesQuery),
  label: Type.Optional(Type.String({ description: '`name` or `name=value`.' })),
  createdFrom: Type.Optional(Type.String({ description: 'ISO 8601, inclusive.' })),
  createdTo: Type.Optional(Type.String({ description: 'ISO 8601, exclusive.' })),
  requestId: Type.Optional(Id),
  text: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'Text that the payload contains.' })),
}

export const JobListQuery = Type.Object({ ...JobFilterQuery, ...PageQuery }, { additionalProperties: false })

export const JobList = Type.Object({ items: Type.Array(Job), next: Next })
export type JobList = Static<typeof JobList>

export const TimelineEntry = Type.Object({
  at: Timestamp,
  kind: Type.Enum(['request', 'attempt_started', 'attempt_ended', 'event', 'log', 'system', 'finished']),
  message: Type.String(),
  level: Type.Enum(['debug', 'info', 'warn', 'error']),
  attempt: Type.Optional(Type.Integer()),
  worker: Type.Optional(Type.String()),
  data: Type.Optional(Type.Unknown()),
})
export type TimelineEntry = Static<typeof TimelineEntry>

export const TimelineQuery = Type.Object(
  {
    ...PageQuery,
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 1000, description: 'How many items a page has.' })),
    order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'asc', description: 'The oldest or the newest first.' })),
  },
  { additionalProperties: false },
)

export const Timeline = Type.Object({ items: Type.Array(TimelineEntry), next: Next })
export type Timeline = Static<typeof Timeline>

export const WaitingReason = Type.Object({
  code: Type.Enum([
    'not_due',
    'queue_paused',
    'queue_limit',
    'queue_rate',
    'key_limit',
    'key_rate',
    'no_worker',
    'behind_others',
    'about_to_start',
  ]),
  message: Type.String(),
  until: Type.Optional(Timestamp),
  limit: Type.Optional(Type.Integer()),
  running: Type.Optional(Type.Integer()),
  ahead: Type.Optional(Type.Integer()),
  holders: Type.Optional(Type.Array(Type.Object({ id: Id, worker: nullable(Type.String()) }))),
})
export type WaitingReason = Static<typeof WaitingReason>

export const Waiting = Type.Object({
  state: JobState,
  waiting: Type.Boolean(),
  reasons: Type.Array(WaitingReason, { description: 'Everything that stands in the way, the firmest first.' }),
})
export type Waiting = Static<typeof Waiting>

export const CancelJob = Type.Object(
  { reason: Type.Optional(Type.String({ maxLength: 1024, description: 'Shown with the job.' })) },
  { additionalProperties: false },
)

export const RetryJob = Type.Object(
  { payload: Type.Optional(Type.Unknown({ description: 'Run with this instead.' })) },
  { additionalProperties: false },
)

export const EditJob = Type.Object(
  {
    priority: Type.Optional(Priority),
    runAt: Type.Optional(Type.String({ description: 'ISO 8601; not started before.' })),
    labels: Type.Optional(Labels),
  },
  { additionalProperties: false, minProperties: 1, examples: [{ priority: 0 }] },
)

export const EventInput = Type.Object(
  {
    message: Type.String({ maxLength: 65_536, description: 'What happened.' }),
    kind: Type.Optional(
      Type.Enum(['event', 'log'], { default: 'event', description: 'An event, or a line of the worker’s log.' }),
    ),
    level: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error'], { default: 'info' })),
    data: Type.Optional(Type.Unknown({ description: 'More about it, for programs.' })),
    at: Type.Optional(Type.String({ description: 'ISO 8601; now if left out.' })),
  },
  { additionalProperties: false },
)
export type EventInput = Static<typeof EventInput>

export const JobEvent = Type.Object({
  id: Id,
  jobId: Id,
  at: Timestamp,
  kind: Type.Enum(['event', 'log', 'system']),
  level: Type.Enum(['debug', 'info', 'warn', 'error']),
  message: Type.String(),
  data: Type.Optional(Type.Unknown()),
})
export type JobEvent = Static<typeof JobEvent>

export const JobEventList = Type.Object({ items: Type.Array(JobEvent), next: Next })

export const DeadLetter = Type.Object({
  id: Id,
  queue: QueueName,
  reason: Type.String(),
  attempts: Type.Integer({
    description: 'As many as counted since it was last run again: those that were snoozed or given back do not.',
  }),
  error: nullable(JobError),
  diedAt: Timestamp,
  createdAt: Timestamp,
  origin: Type.Object({ kind: Type.Literal('job'), source: Type.String(), requestId: Id }),
  labels: Labels,
})
export type DeadLetter = Static<typeof DeadLetter>

export const DeadLetterList = Type.Object({ items: Type.Array(DeadLetter), next: Next })

export const ReplayDeadLetter = Type.Object(
  {
    payload: Type.Optional(Type.Unknown({ description: 'Run with this instead.' })),
    target: Type.Optional(Type.String({ ...QueueName, description: 'The queue to run it in; left out, the one it died in.' })),
  },
  { additionalProperties: false },
)

export { ItemResult }
