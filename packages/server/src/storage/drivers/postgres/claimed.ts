import type { Duration, Instant } from '../../../lib/time.ts'
import type { Labels } from '../../../model/job.ts'
import { type QueueSettings, retryPolicy } from '../../../model/queue.ts'
import type { ClaimedJob } from '../../contract/leases.ts'
import { type Meta, parseMeta } from '../../sql/meta.ts'
import { parseOptions } from '../../sql/options.ts'
import type { QueueRecord } from '../../sql/queues.ts'
import { type LaneRecord, parseLanes } from './lanes.ts'
import { numbers, numbersOrNull, texts } from './values.ts'

/** When something is due in a queue, and the queue itself. */
export type QueueState = readonly [nextDue: Instant | null, nextWake: Instant | null, ...QueueRecord]

/** Columns of the jobs started, each as an array: a row for each would cost the client several times as much. */
export type StartedRecord = readonly [
  ns: string | null,
  ids: string,
  attempts: string,
  fences: string,
  priorities: string,
  createdAts: string,
  runAts: string,
  leaseUntils: string,
  timeouts: string | null,
  maxAttempts: string | null,
  keys: string | null,
  options: string | null,
  metas: string | null,
  payloads: string,
]

/** The jobs started, the lanes locked for them, whether jobs with keys were seen, and too many characters for all. */
export type PickedRecord = readonly [...StartedRecord, lanes: string | null, keyed: boolean, cut: boolean, ...QueueState]

const STARTED_COLUMNS = 14

export interface Started {
  /** Its place among all that are claimed together. */
  readonly n: number
  readonly job: ClaimedJob
}

/** What a claim has locked and started. */
export class Picked {
  /** Whether jobs with concurrency keys are among those that it locked. */
  readonly keyed: boolean
  readonly cut: boolean
  readonly #record: PickedRecord

  constructor(record: PickedRecord) {
    this.#record = record
    this.keyed = record[STARTED_COLUMNS + 1] as boolean
    this.cut = record[STARTED_COLUMNS + 2] as boolean
  }

  get state(): QueueState {
    return this.#record.slice(STARTED_COLUMNS + 3) as unknown as QueueState
  }

  started(settings: QueueSettings): readonly Started[] {
    if (this.#record[0] === null) return []
    const columns = new Columns(this.#record as unknown as StartedRecord, settings)
    return numbers(this.#record[0]).map((n, index) => ({ n, job: new Claimed(columns, index) }))
  }

  get lanes(): readonly LaneRecord[] {
    return parseLanes(this.#record[STARTED_COLUMNS] as string | null)
  }
}

const some = (text: string | null): readonly (number | null)[] | null => (text === null ? null : numbersOrNull(text))

/** What is `null` is so for all jobs, as it mostly is. */
class Columns {
  readonly settings: QueueSettings
  readonly ids: readonly number[]
  readonly attempts: readonly number[]
  readonly fences: readonly number[]
  readonly priorities: readonly number[]
  readonly createdAts: readonly Instant[]
  readonly runAts: readonly Instant[]
  readonly leaseUntils: readonly Instant[]
  readonly timeouts: readonly (Duration | null)[] | null
  readonly maxAttempts: readonly (number | null)[] | null
  readonly keys: readonly (string | null)[] | null
  readonly options: readonly (string | null)[] | null
  readonly metas: readonly (string | null)[] | null
  readonly payloads: readonly string[]

  constructor(record: StartedRecord, settings: QueueSettings) {
    this.settings = settings
    this.ids = numbers(record[1])
    this.attempts = numbers(record[2])
    this.fences = numbers(record[3])
    this.priorities = numbers(record[4])
    this.createdAts = numbers(record[5])
    this.runAts = numbers(record[6])
    this.leaseUntils = numbers(record[7])
    this.timeouts = some(record[8])
    this.maxAttempts = some(record[9])
    this.keys = record[10] === null ? null : texts(record[10])
    this.options = record[11] === null ? null : texts(record[11])
    this.metas = record[12] === null ? null : texts(record[12])
    this.payloads = texts(record[13])
  }
}

/** A class, for a claim makes hundreds of them: their request is parsed for those alone who ask. */
class Claimed implements ClaimedJob {
  readonly id: number
  readonly fence: number
  readonly leaseUntil: Instant
  readonly attempt: number
  readonly maxAttempts: number
  readonly priority: number
  readonly createdAt: Instant
  readonly runAt: Instant
  readonly timeout: Duration | null
  readonly concurrencyKey: string | null
  readonly labels: Labels
  readonly payload: string
  readonly #meta: string | null

  constructor(columns: Columns, at: number) {
    this.id = columns.ids[at]!
    this.fence = columns.fences[at]!
    this.leaseUntil = columns.leaseUntils[at]!
    this.attempt = columns.attempts[at]!
    const maxAttempts = columns.maxAttempts?.[at] ?? null
    this.maxAttempts = retryPolicy({ maxAttempts, backoff: null }, columns.settings).maxAttempts
    this.priority = columns.priorities[at]!
    this.createdAt = columns.createdAts[at]!
    this.runAt = columns.runAts[at]!
    this.timeout = columns.timeouts?.[at] ?? null
    this.concurrencyKey = columns.keys?.[at] ?? null
    this.labels = parseOptions(columns.options?.[at] ?? null).labels ?? NO_LABELS
    this.payload = columns.payloads[at]!
    this.#meta = columns.metas?.[at] ?? null
  }

  get request(): Meta {
    return parseMeta(this.#meta)
  }
}

const NO_LABELS: Labels = Object.freeze({})
