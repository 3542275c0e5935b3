import { type Instant, MINUTE } from '../../../lib/time.ts'
import { DEFAULT_QUEUE_SETTINGS } from '../../../model/queue.ts'
import { Stage } from '../../sql/stages.ts'
import type { Connection } from './connection.ts'
import { statsId } from './documents.ts'
import { BEGINNING, type Sequences } from './journal.ts'
import { Lanes } from './lanes.ts'
import { LogEventDocuments } from './log-event-documents.ts'
import { QueueState } from './queue-state.ts'
import { addSums, noSums, type Sums } from './sums.ts'
import type { Tables } from './tables.ts'
import { cut, INLINE_UP_TO, loadTexts, PART_LENGTH, partId, type Text } from './texts.ts'

/** The minutes that a roll-up sums over: one, or an hour. */
const STATS_SPANS = [1, 60] as const

/** The part of a job that counting it takes. */
export interface Counted {
  readonly concurrencyKey?: string | undefined
  readonly runAt?: Instant | undefined
}

/**
 * What the writes that share a commit share: numbers, the queues they touch, and the counts and roll-ups that are written once
 * at the end, however many jobs were moved.
 */
export class Transaction {
  readonly connection: Connection
  readonly tables: Tables
  readonly lanes: Lanes
  readonly logEvents: LogEventDocuments
  readonly sequences: Sequences
  readonly #queues = new Map<string, QueueState>()

  constructor(connection: Connection, tables: Tables, sequences: Sequences) {
    this.connection = connection
    this.tables = tables
    // The last commit may be of a version that did not know all of them.
    this.sequences = { ...BEGINNING.sequences, ...sequences }
    this.lanes = new Lanes(this)
    this.logEvents = new LogEventDocuments(this)
  }

  /** The id of the next request, and when it counts as received: never before the one with the id before it. */
  nextRequest(now: Instant): { readonly id: number; readonly at: Instant } {
    const { sequences } = this
    if (now > sequences.receivedAt) sequences.receivedAt = now
    return { id: sequences.request++, at: sequences.receivedAt }
  }

  /** Stores a text, and tells what stands for it in a document. */
  text(text: string, inlineUpTo: number = INLINE_UP_TO): Text {
    if (text.length <= inlineUpTo) return text
    const parts = cut(text, PART_LENGTH)
    const first = this.sequences.text
    this.sequences.text += parts.length
    for (const [index, part] of parts.entries()) this.tables.texts.insert({ _id: partId(first + index), text: part })
    return { first, count: parts.length, length: text.length }
  }

  /** Texts in full, also such as the transaction has stored itself. */
  loadTexts(texts: readonly Text[]): Promise<string[]> {
    return loadTexts(this.connection, texts, (id) => this.tables.texts.inserted(id)?.text ?? null)
  }

  async findQueue(name: string): Promise<QueueState | null> {
    const known = this.#queues.get(name)
    if (known !== undefined) return known
    const document = await this.tables.queues.get(name)
    if (document === null) return null
    const queue = new QueueState(document)
    this.#queues.set(name, queue)
    return queue
  }

  /** The queue of that name, made if there is none. */
  async queue(name: string, now: Instant): Promise<QueueState> {
    const found = await this.findQueue(name)
    if (found !== null) return found
    const counts = Object.values(Stage).map(() => 0)
    this.tables.queues.insert({ _id: name, createdAt: now, version: 1, settings: DEFAULT_QUEUE_SETTINGS, counts })
    return (await this.findQueue(name))!
  }

  /** The queue of a job. */
  async queueOf({ _id, queue: name }: { readonly _id: number; readonly queue: string }): Promise<QueueState> {
    const queue = await this.findQueue(name)
    if (queue === null) throw new Error(`job ${_id} is in queue "${name}", which does not exist`)
    return queue
  }

  /** Notes that a job changes its stage; `null` stands for not being there. */
  async move(queue: QueueState, job: Counted, from: Stage | null, to: Stage | null): Promise<void> {
    if (to === Stage.scheduled) queue.expect('dueAt', job.runAt!)
    this.count(queue, from, to)
    if (job.concurrencyKey !== undefined) await this.lanes.move(queue, job.concurrencyKey, from, to)
  }

  /** The part of `move` that concerns the queue. */
  count(queue: QueueState, from: Stage | null, to: Stage | null): void {
    if (to === Stage.scheduled) queue.nextTimeMoved = true
    if (from === to) return
    if (from !== null) queue.counts[from]!--
    if (to !== null) queue.counts[to]!++
    if (to === Stage.ready) queue.becameReady++
    if (from === Stage.running) queue.placesFreed++
    queue.changed = true
  }

  /** The roll-up of the minute; the caller adds to it. */
  stats(queue: QueueState, now: Instant): Sums {
    return queue.sumsOf(Math.floor(now / MINUTE))
  }

  /** Writes what was gathered. The last thing before the commit. */
  async flush(): Promise<void> {
    const { queues, stats } = this.tables
    this.lanes.flush()
    await this.logEvents.flush()
    await stats.load(
      [...this.#queues.values()].flatMap(({ name, sums }) =>
        [...sums.keys()].flatMap((minute) => STATS_SPANS.map((span) => statsId(name, span, minute - (minute % span)))),
      ),
    )
    for (const queue of this.#queues.values()) {
      if (queue.changed) queues.update(queue.name, queue.fields)
      for (const [minute, sums] of queue.sums)
        for (const span of STATS_SPANS) {
          const start = minute - (minute % span)
          const _id = statsId(queue.name, span, start)
          const after = { ...sums }
          addSums(after, (await stats.get(_id)) ?? noSums())
          stats.put({ _id, queue: queue.name, span, start, ...after })
        }
    }
  }

  /** Queues that are worth claiming from again, and by how many callers. */
  ready(): { readonly queue: string; readonly count: number }[] {
    return [...this.#queues.values()]
      .map(({ name, worthClaims }) => ({ queue: name, count: worthClaims }))
      .filter(({ count }) => count > 0)
  }
}
