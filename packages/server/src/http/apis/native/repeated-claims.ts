import type { FastifyRequest } from 'fastify'
import type { Work } from '../../../core/engine/work.ts'
import type { Ports } from '../../../core/ports.ts'
import { itemTexts } from '../../../lib/raw-json.ts'
import { type Duration, MINUTE } from '../../../lib/time.ts'
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
    if (earlier !== null) return this.#stillHeld(itemTexts(earlier.body), worker, lease, request)
    const { idempotency } = this.#ports.storage
    let jobs: readonly ClaimedJob[] = []
    try {
      jobs = await take()
    } finally {
      if (jobs.length === 0) await idempotency.abandon({ key })
    }
    const texts = textsOf(jobs, queue)
    if (jobs.length > 0) {
      const expiresAt = Math.max(...jobs.map(({ leaseUntil }) => leaseUntil))
      await idempotency.finish({ key, status: 200, body: `[${texts.join()}]`, expiresAt })
    }
    return texts
  }

  /** Leaves out what was reported or lost meanwhile, and renews the other leases. */
  async #stillHeld(
    texts: readonly string[],
    worker: string,
    lease: Duration,
    { principal }: FastifyRequest,
  ): Promise<readonly string[]> {
    const beats = texts.map((text) => {
      const { id, leaseToken } = JSON.parse(text) as { readonly id: number; readonly leaseToken: string }
      return { id, fence: readToken(leaseToken), progress: null }
    })
    const results = await this.#work.heartbeat(worker, lease, beats, principal)
    return texts.filter((_, index) => results[index]!.leaseUntil !== null)
  }
}

const textsOf = (jobs: readonly ClaimedJob[], queue: string): string[] => jobs.map((job) => claimedText(job, queue))
