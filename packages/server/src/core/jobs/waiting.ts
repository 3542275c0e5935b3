import { humanDuration, type Instant } from '../../lib/time.ts'
import type { WaitingFacts } from '../../storage/contract/jobs.ts'
import type { Serving } from '../engine/roster.ts'

/** One thing that keeps a pending job from starting. */
export interface WaitingReason {
  readonly code:
    | 'not_due'
    | 'queue_paused'
    | 'queue_limit'
    | 'queue_rate'
    | 'key_limit'
    | 'key_rate'
    | 'no_worker'
    | 'behind_others'
    | 'about_to_start'
  readonly message: string
  readonly until?: Instant
  readonly limit?: number
  readonly running?: number
  readonly ahead?: number
  readonly holders?: readonly { readonly id: number; readonly worker: string | null }[]
}

/** Why a job has not started: all that stands in its way, the firmest first. */
export function whyWaiting(facts: WaitingFacts, workers: Serving, now: Instant): readonly WaitingReason[] {
  const { job, stage, ahead, queue, key } = facts
  const reasons: WaitingReason[] = []
  if (stage === 'scheduled') {
    const until = job.runAt
    reasons.push({ code: 'not_due', until, message: `It is due in ${humanDuration(Math.max(0, until - now))}.` })
  }
  if (queue.paused) reasons.push({ code: 'queue_paused', message: `The queue "${job.queue}" is paused.` })
  if (workers.working === 0) reasons.push({ code: 'no_worker', message: nobodyServes(job.queue, workers) })
  if (key !== null && key.running >= key.limit) {
    const held = `${key.running} of at most ${key.limit} job${key.limit === 1 ? '' : 's'} with the concurrency key "${job.concurrencyKey}"`
    const message = `${held} ${key.running === 1 ? 'is' : 'are'} running: ${names(key.holders)}.`
    reasons.push({ code: 'key_limit', limit: key.limit, running: key.running, holders: key.holders, message })
  }
  if (key?.rateNextAt != null)
    reasons.push({
      code: 'key_rate',
      until: key.rateNextAt,
      message: `The rate limit of its key is used up for ${left(key.rateNextAt, now)}.`,
    })
  if (queue.concurrency !== null && queue.running >= queue.concurrency) {
    const message = `The queue runs ${queue.running} of at most ${queue.concurrency} jobs.`
    reasons.push({ code: 'queue_limit', limit: queue.concurrency, running: queue.running, message })
  }
  if (queue.rateNextAt !== null)
    reasons.push({
      code: 'queue_rate',
      until: queue.rateNextAt,
      message: `The queue’s rate limit is used up for ${left(queue.rateNextAt, now)}.`,
    })
  if (ahead > 0 && stage !== 'scheduled') {
    const count = ahead >= AHEAD_COUNTED ? `${AHEAD_COUNTED} or more jobs` : ahead === 1 ? '1 job' : `${ahead} jobs`
    const message =
      stage === 'held'
        ? `${count} with the concurrency key "${job.concurrencyKey}" ${ahead === 1 ? 'waits' : 'wait'} before it.`
        : `${count} ${ahead === 1 ? 'is' : 'are'} offered to workers before it.`
    reasons.push({ code: 'behind_others', ahead, message })
  }
  if (reasons.length === 0)
    reasons.push({ code: 'about_to_start', message: 'Nothing stands in its way; the next free worker takes it.' })
  return reasons
}

/** `WaitingFacts.ahead` is counted no further. */
const AHEAD_COUNTED = 1_000

function nobodyServes(queue: string, { draining }: Serving): string {
  if (draining === 0) return `No worker has asked the queue "${queue}" for jobs in the last 2 minutes.`
  if (draining === 1) return `The only worker of the queue "${queue}" is drained: it takes no more jobs.`
  return `The ${draining} workers of the queue "${queue}" are drained: they take no more jobs.`
}

const left = (until: Instant, now: Instant): string => humanDuration(Math.max(0, until - now))

const names = (holders: readonly { readonly id: number; readonly worker: string | null }[]): string =>
  holders.map(({ id, worker }) => `job ${id}${worker === null ? '' : ` on ${worker}`}`).join(', ')
