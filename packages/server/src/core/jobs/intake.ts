import { OctoflowError } from '../../errors/octoflow-error.ts'
import { DAY, type Duration, type Instant } from '../../lib/time.ts'
import { inScope, type Principal } from '../../model/access.ts'
import { DEFAULT_PRIORITY } from '../../model/job.ts'
import type { NewJob, NewRequest, Submitted } from '../../storage/contract/requests.ts'
import type { Feed } from '../feed.ts'
import type { Ports } from '../ports.ts'

/** How long an idempotency key is remembered. */
export const IDEMPOTENCY_KEPT: Duration = DAY

/** The client's idempotency key, and a digest of the request where a different request under the key is an error. */
export interface IdempotencyKey {
  readonly key: string
  readonly fingerprint: string | null
}

/** A batch is always held against the first one under its key. */
type BatchKey = IdempotencyKey & { readonly fingerprint: string }

/** A request to record, with the settings of its job if its queue makes one. */
export type Incoming = Omit<NewRequest, 'idempotency' | 'job'> & { readonly job: Partial<NewJob> | null }

const PLAIN_JOB: NewJob = {
  priority: DEFAULT_PRIORITY,
  runAt: null,
  maxAttempts: null,
  backoff: null,
  uniqueKey: null,
  concurrencyKey: null,
  timeout: null,
  labels: null,
}

/** Where work comes in: records requests and makes their jobs. */
export class Intake {
  readonly #ports: Ports
  readonly #feed: Feed

  constructor(ports: Ports, feed: Feed) {
    this.#ports = ports
    this.#feed = feed
  }

  /** @throws `queue_out_of_scope`, `request_out_of_scope`, `idempotency_key_reused` */
  async accept(incoming: Incoming, idempotency: IdempotencyKey | null, by: Principal): Promise<Submitted> {
    if (!inScope(by.queues, incoming.queue)) throw outOfScope(incoming)
    const now = this.#ports.clock.now()
    const [submitted] = await this.#ports.storage.requests.submit({ now, items: [toNew(incoming, idempotency, now)] })
    if (submitted!.outcome === 'mismatch') throw new OctoflowError('idempotency_key_reused')
    this.#publish([incoming], [submitted!])
    return submitted!
  }

  /**
   * Accepts many at once; each has its own answer. An idempotency key stands for the call: its items, told apart by their
   * place, are accepted only after the whole of it was held against the first one.
   * @throws `idempotency_key_reused`
   */
  async acceptAll(
    incoming: readonly Incoming[],
    idempotency: BatchKey | null,
    by: Principal,
  ): Promise<readonly (Submitted | OctoflowError)[]> {
    const { clock } = this.#ports
    if (idempotency !== null && incoming.some(({ queue }) => inScope(by.queues, queue)))
      await this.#reserve(idempotency, clock.now())
    // As late as possible: a job must not count as made before another ended that had its unique key.
    const now = clock.now()
    const refused = new Map<number, OctoflowError>()
    const items: NewRequest[] = []
    for (const [index, item] of incoming.entries()) {
      const key = idempotency === null ? null : { ...idempotency, key: `${idempotency.key}#${index}` }
      if (inScope(by.queues, item.queue)) items.push(toNew(item, key, now))
      else refused.set(index, outOfScope(item))
    }
    const submitted = await this.#ports.storage.requests.submit({ now, items })
    this.#publish(items, submitted)
    let next = 0
    return incoming.map((_, index) => refused.get(index) ?? orMismatch(submitted[next++]!))
  }

  /** Accepts what the server itself brings, in this order; what comes again under its key is let pass. */
  async acceptInOrder(items: readonly { readonly incoming: Incoming; readonly key: string }[]): Promise<void> {
    const now = this.#ports.clock.now()
    const requests = items.map(({ incoming, key }) => toNew(incoming, { key, fingerprint: null }, now))
    this.#publish(requests, await this.#ports.storage.requests.submit({ now, items: requests }))
  }

  /** Keeps the key of a batch for as long as those of its items. A repetition is served by these. */
  async #reserve(idempotency: BatchKey, now: Instant): Promise<void> {
    const { kind } = await this.#ports.storage.idempotency.begin({
      ...idempotency,
      now,
      reservedUntil: now + IDEMPOTENCY_KEPT,
    })
    if (kind === 'mismatch') throw new OctoflowError('idempotency_key_reused')
  }

  #publish(items: readonly { readonly queue: string | null }[], submitted: readonly Submitted[]): void {
    const created = submitted.flatMap(({ id, hasJob, outcome }, index) => {
      const queue = items[index]?.queue ?? null
      return hasJob && queue !== null && outcome === 'created' ? [{ id, queue, state: 'pending' as const }] : []
    })
    this.#feed.publish(created)
  }
}

function toNew(incoming: Incoming, idempotency: IdempotencyKey | null, now: Instant): NewRequest {
  const { queue, job } = incoming
  return {
    ...incoming,
    job: queue === null ? null : job === null ? PLAIN_JOB : { ...PLAIN_JOB, ...job },
    idempotency: idempotency === null ? null : { ...idempotency, expiresAt: now + IDEMPOTENCY_KEPT },
  }
}

const outOfScope = ({ queue }: Incoming): OctoflowError =>
  queue === null ? new OctoflowError('request_out_of_scope') : new OctoflowError('queue_out_of_scope', { queue })

const orMismatch = (submitted: Submitted): Submitted | OctoflowError =>
  submitted.outcome === 'mismatch' ? new OctoflowError('idempotency_key_reused') : submitted
