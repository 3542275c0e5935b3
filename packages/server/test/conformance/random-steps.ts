import { type Duration, SECOND } from '../../src/lib/time.ts'
import type { QueueSettings } from '../../src/model/queue.ts'
import type { Outcome } from '../../src/model/settle.ts'
import { FAILED } from './harness.ts'
import type { Random } from './random.ts'

/** One thing done to the database. `which` stands for one of the jobs submitted before. */
export type Step =
  | { readonly do: 'submit'; readonly jobs: readonly SubmittedJob[] }
  | { readonly do: 'claim'; readonly queue: string; readonly limit: number; readonly lease: Duration }
  | {
      readonly do: 'report'
      readonly which: readonly number[]
      readonly outcome: Outcome
      readonly token: 'own' | 'stale' | 'none'
    }
  | { readonly do: 'renew' | 'cancel' | 'remove'; readonly which: number }
  | { readonly do: 'retry'; readonly which: number; readonly queue: string | null }
  | { readonly do: 'edit'; readonly which: number; readonly priority: number | null; readonly delay: Duration | null }
  | { readonly do: 'configure'; readonly queue: string; readonly change: Partial<QueueSettings> }
  | { readonly do: 'rescue' }
  | { readonly do: 'pass'; readonly time: Duration }

export interface SubmittedJob {
  readonly queue: string
  readonly key: string | null
  readonly unique: string | null
  readonly priority: number
  readonly delay: Duration
  readonly maxAttempts: number | null
}

const QUEUES = ['a', 'b']
const KEYS = ['x', 'x', 'y', 'z', null, null]
const ANY = 1_000_000

const MAKERS: readonly (readonly [weight: number, make: (random: Random) => Step])[] = [
  [20, (random) => ({ do: 'submit', jobs: Array.from({ length: random.between(1, 4) }, () => randomJob(random)) })],
  [
    24,
    (random) => ({
      do: 'claim',
      queue: random.pick(QUEUES),
      limit: random.between(0, 5),
      lease: random.between(5, 60) * SECOND,
    }),
  ],
  [24, randomReport],
  [6, (random) => ({ do: 'cancel', which: random.between(0, ANY) })],
  [8, (random) => ({ do: 'retry', which: random.between(0, ANY), queue: random.pick([null, null, ...QUEUES]) })],
  [4, (random) => ({ do: 'remove', which: random.between(0, ANY) })],
  [3, (random) => ({ do: 'renew', which: random.between(0, ANY) })],
  [6, randomEdit],
  [8, (random) => ({ do: 'configure', queue: random.pick(QUEUES), change: randomChange(random) })],
  [4, () => ({ do: 'rescue' })],
  [10, (random) => ({ do: 'pass', time: random.pick([1, SECOND, 10 * SECOND, 40 * SECOND]) })],
]

/** A step that hangs on nothing but chance: what came before it may be left out. */
export function randomStep(random: Random): Step {
  let left = random.between(
    1,
    MAKERS.reduce((sum, [weight]) => sum + weight, 0),
  )
  for (const [weight, make] of MAKERS) {
    left -= weight
    if (left <= 0) return make(random)
  }
  throw new Error('the weights do not add up')
}

const randomJob = (random: Random): SubmittedJob => ({
  queue: random.pick(QUEUES),
  key: random.pick(KEYS),
  unique: random.chance(0.2) ? random.pick(['u', 'v']) : null,
  priority: random.pick([0, 5, 5, 9]),
  delay: random.chance(0.2) ? random.between(1, 30) * SECOND : 0,
  maxAttempts: random.pick([null, null, 1, 2]),
})

function randomReport(random: Random): Step {
  return {
    do: 'report',
    which: Array.from({ length: random.between(1, 4) }, () => random.between(0, ANY)),
    outcome: random.pick<Outcome>([
      { kind: 'completed', result: null, handled: true },
      { kind: 'completed', result: '1', handled: false },
      FAILED,
      { kind: 'snoozed', delay: random.between(0, 20) * SECOND },
      { kind: 'released' },
      { kind: 'cancelled', reason: null },
      { kind: 'discarded', reason: 'no use', error: null },
    ]),
    token: random.pick(['own', 'own', 'own', 'own', 'stale', 'none']),
  }
}

function randomEdit(random: Random): Step {
  return {
    do: 'edit',
    which: random.between(0, ANY),
    priority: random.chance(0.6) ? random.pick([0, 5, 9]) : null,
    delay: random.chance(0.5) ? random.pick([-SECOND, 0, 5 * SECOND]) : null,
  }
}

const randomChange = (random: Random): Partial<QueueSettings> =>
  random.pick<Partial<QueueSettings>>([
    { keyConcurrency: random.between(1, 3) },
    { keyConcurrency: random.between(1, 3) },
    { concurrency: random.pick([null, null, 1, 3, 6]) },
    { paused: random.chance(0.3) },
    { maxAttempts: random.pick([null, 1, 2]) },
    { backoff: random.pick([null, { base: 0, factor: 1, max: 0, jitter: 0 }]) },
  ])
