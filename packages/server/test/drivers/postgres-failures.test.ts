import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../../../e2e/support/until.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { openPostgres } from '../../src/storage/drivers/postgres/index.ts'
import { COMPLETED, LEASE, NOW, newRequest, QUEUE } from '../conformance/harness.ts'
import { PostgresServer } from './postgres-server.ts'
import { SKIPPED } from './postgres-storage.ts'

/** What the driver does when the server, or the way to it, fails. Each test has a server of its own to mistreat. */

/** A server that starts on a busy machine takes its time. */
const PATIENCE = { withinSeconds: 30, everyMs: 5 }

const DURABLE = { settings: ['max_connections=50', 'shared_buffers=32MB'] }

function failing(name: string, body: (server: PostgresServer, open: () => Storage, t: TestContext) => Promise<void>): void {
  test(name, { skip: SKIPPED, timeout: 60_000 }, async (t) => {
    await using server = await PostgresServer.start(DURABLE)
    const opened: Storage[] = []
    const open = (): Storage => {
      const storage = openPostgres({ url: `${server.url}?pool_size=4`, onError: () => {} })
      opened.push(storage)
      return storage
    }
    try {
      await body(server, open, t)
    } finally {
      for (const storage of opened) await storage.close()
    }
  })
}

const submit = async ({ requests }: Storage): Promise<number> =>
  (await requests.submit({ now: NOW, items: [newRequest()] }))[0]!.id

/** From here on a commit waits for a standby that does not exist. The server heeds a setting when it gets to it, so a commit tries. */
async function holdCommits(server: PostgresServer): Promise<void> {
  await server.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
  await server.query('SELECT pg_reload_conf()')
  for (let held = false; !held; ) {
    let over = false
    const trial = server.query('UPDATE octoflow_probe SET one = true').then(
      () => {
        over = true
      },
      () => {
        held = true
      },
    )
    while (!over && !held) await server.query(CUT)
    await trial
  }
}

/** Cuts the connection whose commit waits. */
async function cutCommit(server: PostgresServer): Promise<void> {
  await until(async () => (await server.query(CUT)).length > 0, { ...PATIENCE, what: 'a commit waits' })
}

async function letCommit(server: PostgresServer): Promise<void> {
  await server.query("ALTER SYSTEM SET synchronous_standby_names = ''")
  await server.query('SELECT pg_reload_conf()')
}

const CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

const claim = ({ leases }: Storage, limit = 10) => leases.claim({ now: NOW, queue: QUEUE, worker: 'w', limit, lease: LEASE })

failing(
  'A server that is killed loses nothing that was acknowledged, and is used again when it is back.',
  async (server, open) => {
    const storage = open()
    await storage.migrations.migrate({ now: NOW })
    const acknowledged: number[] = []
    let refused = 0
    let running = true
    const callers = Array.from({ length: 8 }, async () => {
      while (running) {
        try {
          acknowledged.push(await submit(storage))
        } catch (error) {
          refused++
          assert.match((error as { code?: string }).code ?? String(error), /^storage_(?:unavailable|outcome_unknown)$/)
          await sleep(20)
        }
      }
    })
    await until(() => acknowledged.length >= 50, { ...PATIENCE, what: 'the server takes jobs' })
    await server.kill()
    const before = refused
    await until(() => refused >= before + 8, { ...PATIENCE, what: 'each caller is refused' })
    await server.start()
    const sofar = acknowledged.length
    await until(() => acknowledged.length >= sofar + 50, { ...PATIENCE, what: 'the server takes jobs again' })
    running = false
    await Promise.all(callers)

    const found = await storage.jobs.find({ ids: acknowledged })
    assert.equal(found.length, acknowledged.length)
    assert.equal(new Set(acknowledged).size, acknowledged.length, 'no id is given twice')
    const [queue] = await storage.queues.find({ names: [QUEUE] })
    const all = await claim(storage, 10_000)
    assert.equal(queue!.counts.ready, all.jobs.length, 'the counts are those of what is there')
  },
)

failing('Whoever waits hears of other servers again when the connection is back.', async (server, open) => {
  const [one, other] = [open(), open()]
  await one.migrations.migrate({ now: NOW })
  let told = 0
  one.onReady(() => told++)
  await submit(other)
  await until(() => told > 0, { ...PATIENCE, what: 'the other server’s job is heard of' })
  await server.stop()
  await server.start()
  told = 0
  const submitAndHear = async (): Promise<boolean> => {
    await submit(other).catch(() => {})
    return told > 0
  }
  await until(submitAndHear, { ...PATIENCE, what: 'the other server’s jobs are heard of again' })
})

failing('A commit whose outcome nobody knows is not acknowledged, nor done again.', async (server, open) => {
  const storage = open()
  const observer = open()
  await storage.migrations.migrate({ now: NOW })
  await submit(storage)
  await holdCommits(server)
  const answer = submit(storage)
  const settled = assert.rejects(answer, { code: 'storage_outcome_unknown' })
  await cutCommit(server)
  await settled
  await letCommit(server)
  assert.equal((await claim(observer)).jobs.length, 2, 'it was stored once, as it happens')
})

failing('A report whose outcome nobody knows is made again, which is as good as once.', async (server, open) => {
  const storage = open()
  await storage.migrations.migrate({ now: NOW })
  const id = await submit(storage)
  const { jobs } = await claim(storage)
  await holdCommits(server)
  const reports = [{ id, fence: jobs[0]!.fence, outcome: COMPLETED, finishedAt: null, events: [] }]
  const answer = storage.leases.report({ now: NOW, reports })
  await cutCommit(server)
  await letCommit(server)
  assert.equal((await answer)[0]?.error, null)
  const [queue] = await storage.queues.find({ names: [QUEUE] })
  assert.equal(queue!.counts.completed, 1)
})

failing('A server that is not there is told as such, at once.', async (server, open) => {
  await server.stop()
  const storage = open()
  await assert.rejects(storage.migrations.migrate({ now: NOW }), { code: 'storage_unavailable' })
  await assert.rejects(storage.upkeep.check(), { code: 'storage_unavailable' })
  await server.start()
  await whenReached(() => storage.migrations.migrate({ now: NOW }))
  await storage.upkeep.check()
})

failing('A database or a user that does not exist is refused with the reason.', async (server) => {
  for (const [url, reason] of [
    [server.url.replace(/postgres$/, 'nowhere'), /database "nowhere" does not exist/],
    [server.url.replace('octoflow@', 'nobody@'), /role "nobody" does not exist/],
  ] as const) {
    const storage = openPostgres({ url, onError: () => {} })
    await assert.rejects(storage.migrations.migrate({ now: NOW }), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'database_refused')
      assert.match(error.message, reason)
      return true
    })
    await storage.close()
  }
})

failing('A schema that a later version made is refused.', async (server, open) => {
  const storage = open()
  await storage.migrations.migrate({ now: NOW })
  await server.query("INSERT INTO octoflow_migrations VALUES (9999, 'of the future', 0)")
  await assert.rejects(open().migrations.migrate({ now: NOW }), { code: 'schema_newer' })
})

/** That a server was away is told for a moment longer than it is. */
async function whenReached(work: () => Promise<unknown>): Promise<void> {
  for (let isAway = true; isAway; )
    isAway = await work().then(
      () => false,
      (error: { readonly code?: string }) => {
        if (error.code !== 'storage_unavailable') throw error
        return true
      },
    )
}
