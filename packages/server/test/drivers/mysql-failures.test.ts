import assert from 'node:assert/strict'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../../../e2e/support/until.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { openMysql } from '../../src/storage/drivers/mysql/index.ts'
import { COMPLETED, FIRST_100, LEASE, NOW, newRequest, QUEUE, range } from '../conformance/harness.ts'
import { MysqlServer } from './mysql-server.ts'
import { SKIPPED } from './mysql-storage.ts'

/** What the driver does when the server, or the way to it, fails. Each test has a server of its own to mistreat. */

/** A server that starts on a busy machine takes its time. */
const PATIENCE = { withinSeconds: 30, everyMs: 5 }

interface Fixture {
  readonly server: MysqlServer
  /** What lies between the storage and the server. */
  readonly wire: Wire
  readonly url: string
  /** Opens the database for one more server. What is reported goes to `reported`. */
  readonly open: () => Storage
  readonly reported: readonly string[]
}

function failing(name: string, body: (fixture: Fixture) => Promise<void>, settings: readonly string[] = []): void {
  test(name, { skip: SKIPPED, timeout: 60_000 }, async () => {
    await using server = await MysqlServer.start({ settings })
    await server.query('CREATE DATABASE octoflow')
    await using wire = await Wire.lay(server.socket)
    const url = `mysql://root@localhost/octoflow?unix_socket=${encodeURIComponent(wire.path)}&pool_size=4`
    const opened: Storage[] = []
    const reported: string[] = []
    const open = (): Storage => {
      const storage = openMysql({ url, onError: (message) => reported.push(message) })
      opened.push(storage)
      return storage
    }
    try {
      await body({ server, wire, url, open, reported })
    } finally {
      for (const storage of opened) await storage.close()
    }
  })
}

/** Passes on what comes in at its path, until it is cut. */
class Wire {
  readonly path: string
  readonly #relay: Server
  readonly #ends = new Set<Socket>()

  private constructor(path: string, to: string) {
    this.path = path
    this.#relay = createServer((near) => {
      const far = connect(to)
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#ends.add(one)
        one
          .on('error', () => {})
          .on('close', () => {
            this.#ends.delete(one)
            other.destroy()
          })
        one.pipe(other)
      }
    })
  }

  static async lay(to: string): Promise<Wire> {
    const wire = new Wire(`${to}.wire`, to)
    await new Promise<void>((resolve) => wire.#relay.listen(wire.path, resolve))
    return wire
  }

  cut(): void {
    for (const end of this.#ends) end.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#relay.close(resolve))
  }
}

const submit = async ({ requests }: Storage): Promise<number> =>
  (await requests.submit({ now: NOW, items: [newRequest()] }))[0]!.id

const claim = ({ leases }: Storage, limit = 10) => leases.claim({ now: NOW, queue: QUEUE, worker: 'w', limit, lease: LEASE })

const countsOf = async ({ queues }: Storage) => (await queues.find({ names: [QUEUE] }))[0]!.counts

failing('A server that is killed loses nothing that was acknowledged, and is used again when it is back.', async (fixture) => {
  const { server, open } = fixture
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
  const { ready } = await countsOf(storage)
  assert.equal(ready, (await claim(storage, 10_000)).jobs.length, 'the counts are those of what is there')
})

/** Cuts the connections to the server while it holds the commits of `act` back; then it carries them out. */
async function cutCommits({ server, wire }: Fixture, act: () => Promise<unknown>): Promise<void> {
  await server.session(async (query) => {
    await query('BACKUP STAGE START')
    await query('BACKUP STAGE BLOCK_COMMIT')
    const acting = act()
    await until(async () => (await query(WAITING)).length > 0, { ...PATIENCE, what: 'a commit is held back' })
    wire.cut()
    await query('BACKUP STAGE END')
    await acting
  })
}

const WAITING = "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for backup lock'"

failing('A commit whose outcome nobody knows is not acknowledged, nor done again.', async (fixture) => {
  const storage = fixture.open()
  await storage.migrations.migrate({ now: NOW })
  await submit(storage)
  await cutCommits(fixture, () => assert.rejects(submit(storage), { code: 'storage_outcome_unknown' }))
  await until(async () => (await countsOf(storage)).ready >= 2, { ...PATIENCE, what: 'the commit is carried out' })
  assert.equal((await claim(storage)).jobs.length, 2, 'it was stored once, as it happens')
})

failing('A report whose outcome nobody knows is made again, which is as good as once.', async (fixture) => {
  const storage = fixture.open()
  await storage.migrations.migrate({ now: NOW })
  const id = await submit(storage)
  const { jobs } = await claim(storage)
  const reports = [{ id, fence: jobs[0]!.fence, outcome: COMPLETED, finishedAt: null, events: [] }]
  await cutCommits(fixture, async () => {
    assert.equal((await storage.leases.report({ now: NOW, reports }))[0]?.error, null)
  })
  assert.equal((await countsOf(storage)).completed, 1)
})

failing('Idle connections that the server has ended are no reason to fail.', async ({ server, open }) => {
  const storage = open()
  await storage.migrations.migrate({ now: NOW })
  await Promise.all(range(1, 8).map(() => storage.upkeep.check()))
  const connections = () => server.query("SELECT ID AS id FROM information_schema.PROCESSLIST WHERE DB = 'octoflow'")
  for (const { id } of await connections()) await server.query(`KILL CONNECTION ${id}`)
  await until(async () => (await connections()).length === 0, { ...PATIENCE, what: 'the server has ended them' })
  assert.deepEqual((await storage.queues.list({ page: FIRST_100 })).items, [])
  await submit(storage)
})

failing('A server that is not there is told as such, at once.', async ({ server, open }) => {
  await server.stop()
  const storage = open()
  await assert.rejects(storage.migrations.migrate({ now: NOW }), { code: 'storage_unavailable' })
  await assert.rejects(storage.upkeep.check(), { code: 'storage_unavailable' })
  await server.start()
  await whenReached(() => storage.migrations.migrate({ now: NOW }))
  await storage.upkeep.check()
})

failing('A database or a user that does not exist is refused with the reason.', async ({ url }) => {
  for (const [wrong, reason] of [
    [url.replace('/octoflow', '/nowhere'), /Unknown database 'nowhere'/],
    [url.replace('root@', 'nobody@'), /Access denied for user 'nobody'/],
  ] as const) {
    const storage = openMysql({ url: wrong, onError: () => {} })
    await assert.rejects(storage.migrations.migrate({ now: NOW }), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'database_refused')
      assert.match(error.message, reason)
      return true
    })
    await storage.close()
  }
})

failing('A schema that a later version made is refused.', async ({ server, open }) => {
  const storage = open()
  await storage.migrations.migrate({ now: NOW })
  await server.query("INSERT INTO octoflow_migrations VALUES (9999, 'of the future', 0)", 'octoflow')
  await assert.rejects(open().migrations.migrate({ now: NOW }), { code: 'schema_newer' })
})

failing('A migration that was interrupted anywhere is begun again and carried out.', async ({ server, open }) => {
  const storage = open()
  await storage.migrations.migrate({ now: NOW })
  const id = await submit(storage)
  // As after a migration that came as far as its last statement, but not to the note of its version.
  await server.query('DELETE FROM octoflow_migrations', 'octoflow')
  assert.deepEqual(await open().migrations.migrate({ now: NOW }), [1, 2])
  assert.equal((await storage.jobs.find({ ids: [id] })).length, 1)
  assert.ok((await submit(storage)) > id, 'no id is given twice')
})

failing(
  'A server that acknowledges commits before they are on disk is warned of, once.',
  async ({ open, reported }) => {
    const storage = open()
    await storage.migrations.migrate({ now: NOW })
    await Promise.all(range(1, 8).map(() => storage.upkeep.check()))
    assert.equal(reported.length, 1)
    assert.match(reported[0]!, /innodb_flush_log_at_trx_commit/)
  },
  ['--innodb-flush-log-at-trx-commit=2'],
)

failing(
  'What is larger than the server takes is refused with the reason, and nothing else with it.',
  async ({ open }) => {
    const storage = open()
    await storage.migrations.migrate({ now: NOW })
    const large = newRequest({ body: JSON.stringify('x'.repeat(5_000_000)) })
    const answers = await Promise.allSettled([
      submit(storage),
      storage.requests.submit({ now: NOW, items: [large] }),
      submit(storage),
    ])
    assert.deepEqual(
      answers.map((answer) => (answer.status === 'fulfilled' ? 'served' : answer.reason.code)),
      ['served', 'database_packet_too_large', 'served'],
    )
    assert.equal((await countsOf(storage)).ready, 2)
  },
  ['--max-allowed-packet=4M'],
)

failing(
  'A server that takes no packets of a useful size is refused with the reason.',
  async ({ open }) => {
    await assert.rejects(open().migrations.migrate({ now: NOW }), { code: 'database_refused', message: /max_allowed_packet/ })
  },
  ['--max-allowed-packet=1M'],
)

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
