import { Random } from '../../../packages/server/test/conformance/random.ts'

export { Random }

/** Set `OCTOFLOW_TEST_SEED` to repeat what a failed run decided at random; the machine's timing it cannot repeat. */
const given = process.env.OCTOFLOW_TEST_SEED

const LARGEST_SEED = 2 ** 31

export const chooseSeed = (): number => (given === undefined ? Math.floor(Math.random() * LARGEST_SEED) : Number(given))

/** Runs a test with a seed, and names that where the test fails. */
export async function seeded(run: (seed: number) => Promise<void>): Promise<void> {
  const seed = chooseSeed()
  try {
    await run(seed)
  } catch (error) {
    const message = `${(error as Error).message}\nThis was with OCTOFLOW_TEST_SEED=${seed}.`
    throw new Error(message, { cause: error })
  }
}

/** What each actor of a test draws from, so that what one decides does not depend on when others do. */
export const stream = (seed: number, actor: number): Random => new Random(Math.imul(seed, 31) + actor * 7919)
