import { test } from 'node:test'
import { type Group, type Open, range } from './harness.ts'
import { Random } from './random.ts'
import { randomStep, type Step } from './random-steps.ts'
import { Walker } from './walker.ts'

/** How many walks are taken, and how long each is. `CONFORMANCE_SEED` names a single one. */
const SEEDS = process.env.CONFORMANCE_SEED === undefined ? range(1, 12) : [Number(process.env.CONFORMANCE_SEED)]
const STEPS = 160

/**
 * Random verbs are done to the driver and to a reference model alike, and after each step both must agree: on the answer,
 * on the jobs concerned, on the counts. A walk that fails is shortened to the steps that it takes, and told with its seed.
 */
export const randomWalks: Group = (_, open) => {
  for (const seed of SEEDS) {
    test(`the driver and the model agree after every step (seed ${seed})`, { timeout: 120_000 }, async () => {
      const random = new Random(seed)
      const steps = Array.from({ length: STEPS }, () => randomStep(random))
      const failure = await walk(open, steps)
      if (failure === null) return
      const short = await shorten(steps, (some) => walk(open, some))
      const told = short.map((step) => `  ${JSON.stringify(step)}`).join('\n')
      const cause = (await walk(open, short)) ?? failure
      throw new Error(`CONFORMANCE_SEED=${seed} fails, and so do these steps of it:\n${told}\n${cause.message}`, { cause })
    })
  }
}

/** @returns what went wrong, if anything. */
async function walk(open: Open, steps: readonly Step[]): Promise<Error | null> {
  await using opened = await open()
  try {
    const walker = await Walker.begin(opened)
    for (const step of steps) await walker.take(step)
    await walker.end()
    return null
  } catch (error) {
    return error as Error
  }
}

/** Leaves out steps, many at a time first, as long as the rest still fails. */
async function shorten(
  steps: readonly Step[],
  fails: (steps: readonly Step[]) => Promise<Error | null>,
): Promise<readonly Step[]> {
  let shortest = steps
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < shortest.length; ) {
      const rest = shortest.toSpliced(from, size)
      if ((await fails(rest)) === null) from += size
      else shortest = rest
    }
  }
  return shortest
}
