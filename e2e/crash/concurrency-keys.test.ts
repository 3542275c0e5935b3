import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { readCounts } from './support/found.ts'
import { grouped, mostAtOnce, readJournal } from './support/journal.ts'
import { Random, seeded } from './support/seed.ts'
import { Site } from './support/site.ts'
import { assertNeverAtOnce } from './support/verify.ts'
import { submitMany } from './support/watching.ts'

const JOBS = 10_000
const KEYS = 50
const LIMITS = { one: 1, three: 3 } as const

/** Of each queue in turn, so that both are worked on at the same time. */
const BATCH = 500

test(`Of ${JOBS} jobs with ${KEYS} keys no key has more running than it may, whatever 16 workers claim.`, async (t) => {
  await seeded(async (seed) => {
    const random = new Random(seed)
    const site = await Site.open(t)
    for (const [queue, keyConcurrency] of Object.entries(LIMITS))
      assert.equal((await site.client.patch(`/api/v1/queues/${queue}`, { json: { keyConcurrency } })).status, 200)
    const workers = await Promise.all(
      Array.from({ length: 4 }, () => site.worker({ queues: Object.keys(LIMITS), concurrency: 4, leaseSeconds: 30 })),
    )
    for (let made = 0; made < JOBS; made += BATCH)
      await submitMany(site, BATCH, () => ({
        queue: (made / BATCH) % 2 === 0 ? 'one' : 'three',
        concurrencyKey: `key-${random.between(1, KEYS)}`,
        payload: { workMs: random.between(0, 8) },
      }))
    await until(
      async () => {
        const counts = [...(await readCounts(site.client)).values()]
        return counts.reduce((sum, { completed }) => sum + completed, 0) === JOBS
      },
      { what: 'all jobs are completed', withinSeconds: 120, everyMs: 250 },
    )
    await Promise.all(workers.map((worker) => worker.stop()))

    const attempts = readJournal(site.journal)
    assert.equal(attempts.length, JOBS, 'each job ran once')
    assertNeverAtOnce(attempts, LIMITS)
    assert.deepEqual(mostOfOneKey(attempts), LIMITS, 'the limits were made use of')
    assert.ok(mostAtOnce(attempts) > 8, 'many jobs ran at once')
  })
})

/** For each queue how many jobs of one key ran at once, at the most. */
function mostOfOneKey(attempts: ReturnType<typeof readJournal>): Record<string, number> {
  const most: Record<string, number> = {}
  for (const group of grouped(attempts, ({ queue, key }) => `${queue} ${key}`).values()) {
    const { queue } = group[0]!
    most[queue] = Math.max(most[queue] ?? 0, mostAtOnce(group))
  }
  return most
}
