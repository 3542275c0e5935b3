import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../../../../e2e/support/until.ts'
import { after, COMPLETED, FAILED, Fixture, NOW } from '../conformance/harness.ts'
import { openSchema, openSessionOf, querySchema, SKIPPED, shareServer } from './postgres-storage.ts'

/** In which order rows are locked, and what is known by then: each test has another session hold some of them meanwhile. */

shareServer()

interface Meeting extends Fixture {
  /** Does something while a session of the test's own is in a transaction, which goes on when the act waits for it. */
  meet(first: string, act: () => Promise<unknown>, second?: string): Promise<void>
}

function meeting(name: string, body: (meeting: Meeting) => Promise<void>): void {
  test(name, { skip: SKIPPED, timeout: 60_000 }, async () => {
    await using opened = await openSchema()
    await opened.storage.migrations.migrate({ now: NOW })
    const meet: Meeting['meet'] = async (first, act, second) => {
      await using session = await openSessionOf(opened.url)
      // Should the two wait for each other, this one is told.
      await session.query(`BEGIN; SET LOCAL deadlock_timeout = '50ms'; ${first}`)
      const acting = act()
      await until(async () => (await querySchema(opened.url, WAITING)).length > 0, { what: 'the act waits' })
      if (second !== undefined) await session.query(second)
      await session.query('COMMIT')
      await acting
    }
    await body(Object.assign(new Fixture(opened), { meet }))
  })
}

const WAITING = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`

const lockLane = (key: string): string => `SELECT FROM octoflow_lanes WHERE key = '${key}' FOR NO KEY UPDATE`
const lockJob = (id: number): string => `SELECT FROM octoflow_requests WHERE id = ${id} FOR NO KEY UPDATE`

/** What `configure` writes. */
const RAISE_LIMIT = 'UPDATE octoflow_queues SET key_concurrency = 2; UPDATE octoflow_lanes SET wake_at = 0'

const KEYED = { concurrencyKey: 'a' }

meeting('A job that ends while the limit of its key is raised makes room by the new limit.', async (meeting) => {
  const { submitAll, claimOne, report, counts, meet } = meeting
  await submitAll([KEYED, KEYED, KEYED, KEYED, KEYED])
  // The first tells the driver that there are jobs with keys.
  await report(await claimOne(), COMPLETED)
  const running = await claimOne()
  await meet(RAISE_LIMIT, () => report(running, COMPLETED))
  assert.deepEqual(await counts(), { ready: 2, held: 1, completed: 2 })
})

meeting('A job that is submitted while the limit of its key is raised is ready by the new limit.', async (meeting) => {
  const { submit, claimOne, counts, meet } = meeting
  await submit(KEYED)
  await claimOne()
  await meet(RAISE_LIMIT, () => submit(KEYED))
  assert.deepEqual(await counts(), { ready: 1, running: 1 })
})

meeting('The lanes of jobs for now and for later are locked together, in order.', async ({ submitAll, meet }) => {
  await submitAll([{ concurrencyKey: 'a' }, { concurrencyKey: 'b' }])
  const submit = () => submitAll([{ concurrencyKey: 'a', runAt: after(100) }, { concurrencyKey: 'b' }])
  await meet(lockLane('a'), submit, lockLane('b'))
})

meeting('Jobs that are reported on are locked together, in order, whatever became of them.', async (meeting) => {
  const { submitAll, claim, storage, meet } = meeting
  await submitAll([{}, {}])
  const [first, second] = (await claim({ limit: 2 })).jobs
  const reports = [
    { id: first!.id, fence: first!.fence, outcome: FAILED, finishedAt: null, events: [] },
    { id: second!.id, fence: second!.fence, outcome: COMPLETED, finishedAt: null, events: [] },
  ]
  await meet(lockJob(first!.id), () => storage.leases.report({ now: NOW, reports }), lockJob(second!.id))
})

meeting('Whoever prunes holds no lane that he deletes while he waits for another.', async (meeting) => {
  const { finish, submit, storage, meet } = meeting
  await finish('completed', { concurrencyKey: 'a' })
  await finish('completed', { concurrencyKey: 'z', queue: 'other' })
  await submit({ concurrencyKey: 'a' })
  const prune = () => storage.upkeep.prune({ now: after(40 * 86_400), retention: 86_400_000_000, limit: 100 })
  await meet(lockLane('a'), prune, lockLane('z'))
})
