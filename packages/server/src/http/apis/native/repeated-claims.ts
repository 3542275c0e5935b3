import type { FastifyRequest } from 'fastify'
import type { Work } from '../../../core/engine/work.ts'
import type { Ports } from '../../../core/ports.ts'
import { itemTexts, memberText, withMembers } from '../../../lib/raw-json.ts'
import { type Duration, type Instant, MINUTE, toIso } from '../../../lib/time.ts'
import type { ClaimedJob } from '../../../storage/contract/leases.ts'
import { idempotencyKey } from '../../idempotency-key.ts'
import { earlierAnswer } from '../../plugins/idempotency.ts'
import { readToken } from './read.ts'
import { claimedText } from './wire.ts'

interface ClaimCall {
  readonly queue: string
  readonly worker: string
  readonly wait: Duration
  readonly lease: Duration
}

/**
 * Claims under an `Idempotency-Key`: who repeats one, since its answer was lost, gets the jobs that it holds by it. The answer
 * is kept no longer than the leases that it gave; one without jobs is not kept, so that its repetition asks again.
 */
export class RepeatedClaims {
  readonly #ports: Ports
  readonly #work: Work

  constructor(ports: Ports, work: Work) {
    this.#ports = ports
    this.#work = work
  }

  /** @returns the JSON texts of the jobs. */
  async claim(
    request: FastifyRequest,
    { queue, worker, wait, lease }: ClaimCall,
    take: () => Promise<readonly ClaimedJob[]>,
  ): Promise<readonly string[]> {
    const key = idempotencyKey(request, `POST ${request.url}`)
    if (key === null) return textsOf(await take(), queue)
    const earlier = await earlierAnswer(this.#ports, request, key, wait + MINUTE)
    const { idempotency } = this.#ports.storage
    if (earlier !== null) {
      const held = await this.#stillHeld(itemTexts(earlier.body), worker, lease, request)
      // The leases last longer now, and with them the answer.
      if (held.length > 0) await idempotency.finish({ key, ...earlier, expiresAt: latest(held) })
      return held.map(renewedText)
    }
    let jobs: readonly ClaimedJob[] = []
    try {
      jobs = await take()
    } finally {
      if (jobs.length === 0) await idempotency.abandon({ key })
    }
    const texts = textsOf(jobs, queue)
    if (jobs.length > 0) {
      await idempotency.finish({ key, status: 200, body: `[${texts.join()}]`, expiresAt: latest(jobs) })
    }
    return texts
  }

  /** Leaves out what was reported or lost meanwhile, and renews the other leases. */
  async #stillHeld(
    texts: readonly string[],
    worker: string,
    lease: Duration,
    { principal }: FastifyRequest,
  ): Promise<readonly Held[]> {
    const beats = texts.map((text) => {
      const { id, leaseToken } = JSON.parse(text) as { readonly id: number; readonly leaseToken: string }
      return { id, fence: readToken(leaseToken), progress: null }
    })
    const results = await this.#work.heartbeat(worker, lease, beats, principal)
    return texts.flatMap((text, index) => {
      const { leaseUntil } = results[index]!
      return leaseUntil === null ? [] : [{ text, leaseUntil }]
    })
  }
}

/** A job as it was given, and its lease as it was renewed. */
interface Held {
  readonly text: string
  readonly leaseUntil: Instant
}

function renewedText({ text, leaseUntil }: Held): string {
  const { payload: _, ...job } = JSON.parse(text) as { readonly payload: unknown }
  return withMembers({ ...job, leaseUntil: toIso(leaseUntil) }, { payload: memberText(text, 'payload') })
}

const latest = (leases: readonly { readonly leaseUntil: Instant }[]): Instant =>
  Math.max(...leases.map(({ leaseUntil }) => leaseUntil))

const textsOf = (jobs: readonly ClaimedJob[], queue: string): string[] => jobs.map((job) => claimedText(job, queue))
