import { Backoff, Id, JobState, NamesQuery, Next, NullableTimestamp, PageQuery, QueueName, Timestamp } from './common.ts'
import { LogEventFilter } from './log-events.ts'
import { type Static, type TSchema, Type } from './type.ts'

/** Queues, operations on many jobs, keys, and watching. */

const nullable = <Schema extends TSchema>(schema: Schema, description?: string) =>
  Type.Union([schema, Type.Null()], description === undefined ? {} : { description })

export const RateLimit = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
    periodSeconds: Type.Number({ minimum: 0.05, maximum: 2_592_000 }),
  },
  { additionalProperties: false, description: 'At most `limit` starts within any `periodSeconds`.' },
)
export type RateLimit = Static<typeof RateLimit>

const Limit = Type.Integer({ minimum: 1, maximum: 1_000_000 })

const QueueSettings = {
  paused: Type.Boolean({ description: 'Nothing of it is started.' }),
  concurrency: nullable(Limit, 'How many of its jobs run at once; null: any number.'),
  keyConcurrency: Type.Integer({ ...Limit, description: 'How many jobs with the same concurrency key run at once.' }),
  rateLimit: nullable(RateLimit, 'How often its jobs start; null: as often as they can.'),
  keyRateLimit: nullable(RateLimit, 'How often jobs with the same concurrency key start.'),
  maxAttempts: nullable(Type.Integer({ minimum: 1, maximum: 1000 }), 'For jobs that say nothing; null: 3.'),
  backoff: nullable(Backoff, 'The wait between attempts, for jobs that say nothing; null: the server’s own.'),
  retentionDays: nullable(
    Type.Number({ minimum: 0, maximum: 36_500 }),
    'How long finished jobs are kept; null: as `jobs.retentionDays` says.',
  ),
  handler: nullable(
    Type.String({ maxLength: 1024 }),
    'The handler file, below the app’s root, that the server itself runs on the jobs; null: none.',
  ),
}

export const QueueCounts = Type.Object({
  pending: Type.Integer(),
  ready: Type.Integer({ description: 'Pending and free to start.' }),
  scheduled: Type.Integer({ description: 'Pending until their time.' }),
  held: Type.Integer({ description: 'Pending until their concurrency key has room.' }),
  running: Type.Integer(),
  completed: Type.Integer(),
  cancelled: Type.Integer(),
  dead: Type.Integer(),
})

export const Queue = Type.Object({
  name: QueueName,
  createdAt: Timestamp,
  ...QueueSettings,
  counts: QueueCounts,
  workers: Type.Integer({ description: 'Workers that serve it now.' }),
})
export type Queue = Static<typeof Queue>

export const QueueList = Type.Object({ items: Type.Array(Queue), next: Next })

export const QueueChange = Type.Partial(Type.Object(QueueSettings), {
  additionalProperties: false,
  minProperties: 1,
  examples: [{ concurrency: 4, rateLimit: { limit: 100, periodSeconds: 60 } }],
})
export type QueueChange = Static<typeof QueueChange>

export const CapturedRequest = Type.Object({
  id: Id,
  receivedAt: Timestamp,
  source: Type.String(),
  sourceIp: nullable(Type.String()),
  userAgent: nullable(Type.String()),
  method: Type.String(),
  url: Type.String(),
  headers: Type.Record(Type.String(), Type.String()),
  contentType: nullable(Type.String()),
  body: Type.Unknown(),
  queue: nullable(Type.String()),
  handled: Type.Boolean(),
})
export type CapturedRequest = Static<typeof CapturedRequest>

export const RequestList = Type.Object({ items: Type.Array(CapturedRequest), next: Next })

export const RequestListQuery = Type.Object(
  {
    queue: Type.Optional(NamesQuery),
    source: Type.Optional(
      Type.String({ description: 'What it came in by: `capture`, `api`, or `event` for rules on log events.' }),
    ),
    createdFrom: Type.Optional(Type.String({ description: 'ISO 8601, inclusive.' })),
    createdTo: Type.Optional(Type.String({ description: 'ISO 8601, exclusive.' })),
    text: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'Text that the body contains.' })),
    ...PageQuery,
  },
  { additionalProperties: false },
)

const oneOrMany = <Item extends TSchema>(item: Item) => Type.Union([item, Type.Array(item, { minItems: 1, maxItems: 100 })])

export const JobFilter = Type.Object(
  {
    queue: Type.Optional(oneOrMany(QueueName)),
    state: Type.Optional(oneOrMany(JobState)),
    label: Type.Optional(Type.String({ description: '`name` or `name=value`.' })),
    createdFrom: Type.Optional(Type.String({ description: 'ISO 8601, inclusive.' })),
    createdTo: Type.Optional(Type.String({ description: 'ISO 8601, exclusive.' })),
    ids: Type.Optional(Type.Array(Id, { minItems: 1, maxItems: 10_000 })),
    text: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'Text that the payload contains.' })),
  },
  { additionalProperties: false },
)
export type JobFilter = Static<typeof JobFilter>

/** What can be done to jobs. */
export const JobAction = Type.Enum(['retry', 'cancel', 'delete'])

export const StartOperation = Type.Object(
  { action: JobAction, filter: JobFilter },
  { additionalProperties: false, examples: [{ action: 'retry', filter: { queue: 'emails', state: 'dead' } }] },
)
export type StartOperation = Static<typeof StartOperation>

export const Operation = Type.Object({
  id: Id,
  action: Type.Enum(['retry', 'cancel', 'delete', 'delete_log_events'], {
    description: '`delete_log_events` concerns log events, all others jobs.',
  }),
  filter: Type.Union([JobFilter, LogEventFilter]),
  state: Type.Enum(['running', 'completed', 'aborted']),
  examined: Type.Integer(),
  changed: Type.Integer(),
  skipped: Type.Integer(),
  createdAt: Timestamp,
  createdBy: Type.String(),
  finishedAt: NullableTimestamp,
})
export type Operation = Static<typeof Operation>

export const OperationList = Type.Object({ items: Type.Array(Operation), next: Next })

export const Role = Type.Enum(['viewer', 'producer', 'worker', 'operator', 'admin'])
export type Role = 'viewer' | 'producer' | 'worker' | 'operator' | 'admin'

export const ApiKey = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role: Role,
  queues: nullable(Type.Array(QueueName)),
  createdAt: Timestamp,
  createdBy: Type.String(),
  expiresAt: NullableTimestamp,
  lastUsedAt: NullableTimestamp,
})
export type ApiKey = Static<typeof ApiKey>

export const ApiKeyList = Type.Object({ items: Type.Array(ApiKey), next: Next })

export const CreateKey = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 128, description: 'Who uses it, for people.' }),
    role: Role,
    queues: Type.Optional(
      nullable(Type.Array(QueueName, { minItems: 1, maxItems: 100 }), 'The queues it is limited to; null: it is not limited.'),
    ),
    expiresAt: Type.Optional(nullable(Type.String(), 'ISO 8601; null: never.')),
  },
  { additionalProperties: false, examples: [{ name: 'billing', role: 'producer', queues: ['invoices'] }] },
)
export type CreateKey = Static<typeof CreateKey>

export const CreatedKey = Type.Object({
  ...ApiKey.properties,
  key: Type.String({ description: 'The key itself. It is shown this once and cannot be read again.' }),
})
export type CreatedKey = Static<typeof CreatedKey>

const Sums = {
  submitted: Type.Integer(),
  started: Type.Integer(),
  completed: Type.Integer(),
  failed: Type.Integer({ description: 'Attempts that failed, whether or not another followed.' }),
  dead: Type.Integer(),
  cancelled: Type.Integer(),
  expired: Type.Integer({ description: 'Leases that ran out.' }),
  meanWaitSeconds: nullable(Type.Number({ description: 'From free to start until started.' })),
  meanRunSeconds: nullable(Type.Number({ description: 'From started until reported.' })),
}

export const StatsSums = Type.Object(Sums)
export type StatsSums = Static<typeof StatsSums>

export const StatsQuery = Type.Object(
  {
    window: Type.Optional(
      Type.Integer({ minimum: 60, maximum: 31_622_400, default: 3600, description: 'Seconds back from now.' }),
    ),
    step: Type.Optional(
      Type.Integer({
        minimum: 60,
        maximum: 31_622_400,
        default: 60,
        description:
          'Seconds, a multiple of 60; made longer where the window has more than 1500 steps, and a whole number of hours where it is longer than 7 days.',
      }),
    ),
    queue: Type.Optional(NamesQuery),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 1000, description: 'How many queues a page tells the sums of.' }),
    ),
    cursor: PageQuery.cursor,
  },
  { additionalProperties: false },
)

export const Stats = Type.Object({
  from: Timestamp,
  to: Timestamp,
  stepSeconds: Type.Integer(),
  points: Type.Array(Type.Object({ at: Timestamp, ...Sums })),
  queues: Type.Record(Type.String(), StatsSums, {
    description: 'The sums of the whole window, by queue, of a page of them in order of name.',
  }),
  next: Next,
  total: StatsSums,
})
export type Stats = Static<typeof Stats>

export const AttentionItem = Type.Object({
  code: Type.String(),
  severity: Type.Enum(['info', 'warning', 'critical']),
  message: Type.String(),
  hint: Type.String(),
  queue: Type.Optional(Type.String()),
  count: Type.Optional(Type.Integer()),
})
export type AttentionItem = Static<typeof AttentionItem>

export const AttentionQuery = Type.Object({ limit: PageQuery.limit, cursor: PageQuery.cursor }, { additionalProperties: false })

/** First what concerns the server, then queue after queue in order of name; in each page the gravest comes first. */
export const Attention = Type.Object({ items: Type.Array(AttentionItem), next: Next })
export type Attention = Static<typeof Attention>

export const Me = Type.Object({
  name: Type.String(),
  role: Role,
  queues: nullable(Type.Array(Type.String())),
  server: Type.Object({ version: Type.String() }),
})
export type Me = Static<typeof Me>

/** The data of an event on `GET /api/v1/stream`. */
export const StreamJob = Type.Object({ id: Id, queue: QueueName, state: JobState, at: Timestamp })
export type StreamJob = Static<typeof StreamJob>
