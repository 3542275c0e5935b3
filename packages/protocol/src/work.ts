import { Id, JobError, Labels, Next, NullableTimestamp, Priority, QueueName, Timestamp, WELL_FORMED } from './common.ts'
import { EventInput, type Progress } from './jobs.ts'
import { type Static, Type } from './type.ts'

/** The worker protocol: claim, heartbeat, report. */

const WorkerId = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: WELL_FORMED,
  description: 'The process that works, by a name that is new at every start.',
  examples: ['host-7-4f2a'],
})

const LeaseSeconds = Type.Number({
  minimum: 1,
  maximum: 86_400,
  default: 30,
  description: 'How long a job stays with a worker that gives no sign of life.',
})

const LeaseToken = Type.String({ maxLength: 32, description: 'Opaque; proves that the lease is the current one.' })

export const ClaimRequest = Type.Object(
  {
    workerId: WorkerId,
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 1, description: 'How many jobs to take at most.' }),
    ),
    waitSeconds: Type.Optional(
      Type.Number({ minimum: 0, maximum: 60, default: 0, description: 'How long to wait for a job.' }),
    ),
    leaseSeconds: Type.Optional(LeaseSeconds),
  },
  { additionalProperties: false, examples: [{ workerId: 'host-7-4f2a', limit: 10, waitSeconds: 20, leaseSeconds: 30 }] },
)
export type ClaimRequest = Static<typeof ClaimRequest>

export const ClaimedRequest = Type.Object({
  id: Id,
  timestamp: Timestamp,
  sourceIp: Type.Union([Type.String(), Type.Null()]),
  userAgent: Type.Union([Type.String(), Type.Null()]),
  method: Type.String(),
  url: Type.String(),
  contentType: Type.Union([Type.String(), Type.Null()]),
  headers: Type.Record(Type.String(), Type.String()),
  customValue: Type.String(),
})
export type ClaimedRequest = Static<typeof ClaimedRequest>

export const ClaimedJob = Type.Object({
  id: Id,
  queue: QueueName,
  leaseToken: LeaseToken,
  leaseUntil: Timestamp,
  attempt: Type.Integer(),
  maxAttempts: Type.Integer(),
  priority: Priority,
  createdAt: Timestamp,
  runAt: Timestamp,
  timeoutSeconds: Type.Union([Type.Number(), Type.Null()]),
  concurrencyKey: Type.Union([Type.String(), Type.Null()]),
  labels: Labels,
  payload: Type.Unknown(),
  request: ClaimedRequest,
})
export type ClaimedJob = Static<typeof ClaimedJob>

export const ClaimAnswer = Type.Object({
  jobs: Type.Array(ClaimedJob),
  drain: Type.Boolean({ description: 'An operator asks this worker to take no more jobs.' }),
})
export type ClaimAnswer = Static<typeof ClaimAnswer>

/** Anything is accepted: a slip of one handler must not cost its worker the leases of all its jobs. */
const ReportedProgress = Type.Unsafe<Partial<Progress>>({
  description:
    'An object with `fraction`, from 0 to 1, and `message`, of up to 1024 characters, or with one of them. What lies beyond is ' +
    'taken as the nearest that fits, and what does not fit at all is left out; the lease is renewed in any case.',
})

export const HeartbeatRequest = Type.Object(
  {
    workerId: WorkerId,
    leaseSeconds: Type.Optional(LeaseSeconds),
    jobs: Type.Array(
      Type.Object(
        { id: Id, leaseToken: LeaseToken, progress: Type.Optional(ReportedProgress) },
        { additionalProperties: false },
      ),
      { maxItems: 1000 },
    ),
  },
  {
    additionalProperties: false,
    examples: [{ workerId: 'host-7-4f2a', jobs: [{ id: 12, leaseToken: '1', progress: { fraction: 0.4 } }] }],
  },
)
export type HeartbeatRequest = Static<typeof HeartbeatRequest>

export const HeartbeatAnswer = Type.Object({
  jobs: Type.Array(
    Type.Object({
      id: Id,
      leaseUntil: NullableTimestamp,
      command: Type.Enum(['continue', 'cancel', 'drain', 'lost']),
    }),
  ),
})
export type HeartbeatAnswer = Static<typeof HeartbeatAnswer>

export const REPORTED_OUTCOMES = ['completed', 'failed', 'snoozed', 'discarded', 'cancelled', 'released'] as const
export type ReportedOutcome = (typeof REPORTED_OUTCOMES)[number]

export const JobReport = Type.Object(
  {
    id: Id,
    leaseToken: LeaseToken,
    outcome: Type.Enum([...REPORTED_OUTCOMES], { description: 'How the attempt ended.' }),
    result: Type.Optional(Type.Unknown({ description: 'Of a completed job: any JSON value.' })),
    error: Type.Optional(Type.Union([Type.String(), Type.Partial(JobError)], { description: 'Of a failed or discarded job.' })),
    reason: Type.Optional(Type.String({ maxLength: 1024, description: 'Of a discarded or cancelled job.' })),
    delaySeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 315_360_000, description: 'Of a snoozed job.' })),
    events: Type.Optional(Type.Array(EventInput, { maxItems: 1000, description: 'For the job’s timeline.' })),
  },
  { additionalProperties: false },
)
export type JobReport = Static<typeof JobReport>

export const ReportRequest = Type.Object(
  { workerId: WorkerId, jobs: Type.Array(JobReport, { maxItems: 1000 }) },
  {
    additionalProperties: false,
    examples: [{ workerId: 'host-7-4f2a', jobs: [{ id: 12, leaseToken: '1', outcome: 'completed', result: { sent: true } }] }],
  },
)
export type ReportRequest = Static<typeof ReportRequest>

export const ReportAnswer = Type.Object({
  jobs: Type.Array(
    Type.Object({ id: Id, ok: Type.Boolean(), code: Type.Optional(Type.String()), message: Type.Optional(Type.String()) }),
  ),
})
export type ReportAnswer = Static<typeof ReportAnswer>

export const Worker = Type.Object({
  id: Type.String(),
  queues: Type.Array(Type.String()),
  firstSeenAt: Timestamp,
  lastSeenAt: Timestamp,
  alive: Type.Boolean(),
  draining: Type.Boolean(),
  agent: Type.Union([Type.String(), Type.Null()]),
})
export type Worker = Static<typeof Worker>

export const WorkerList = Type.Object({ items: Type.Array(Worker), next: Next })
