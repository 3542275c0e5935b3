import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SECOND } from '../../src/lib/time.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import {
  after,
  COMPLETED,
  event,
  FAILED,
  FIRST_100,
  LEASE,
  NOW,
  newRequest,
  range,
  serversOf,
  type Wish,
} from '../conformance/harness.ts'
import { Random } from '../conformance/random.ts'
import { openDatabase, SKIPPED, shareServer } from './mysql-storage.ts'

/** What holds when several servers do everything at once, so that transactions meet and deadlocks are broken up. */

const SERVERS = 4
const CALLERS = 32
const CALLS = 60
const QUEUES = ['limited', 'rated', 'free']

shareServer()

test('Counts and lanes are those of the jobs after several servers did everything at once.', { skip: SKIPPED }, async () => {
  await using opened = await openDatabase()
  const { storage, query } = opened
  await storage.migrations.migrate({ now: NOW })
  const configure = (name: string, change: Parameters<Storage['queues']['configure']>[0]['change']) =>
    storage.queues.configure({ now: NOW, name, change, ifVersion: null })
  await configure('limited', { keyConcurrency: 3, concurrency: 40 })
  await configure('rated', { keyConcurrency: 2, keyRateLimit: { limit: 50, period: 60 * SECOND } })
  const seed = Number(process.env.OCTOFLOW_TEST_SEED ?? Date.now() % 100_000)
  const servers = await serversOf(opened, SERVERS)
  await Promise.all(
    range(1, CALLERS).map(async (n) => {
      const caller = new Caller(servers[n % SERVERS]!, `worker-${n}`, new Random(seed * CALLERS + n))
      for (let call = 0; call < CALLS; call++) await caller.act()
    }),
  )

  const told = `OCTOFLOW_TEST_SEED=${seed}`
  for (const { name, counts } of (await storage.queues.list({ page: FIRST_100 })).items) {
    const { pending: _, ...stages } = counts
    const [row] = await query(`SELECT ${Object.keys(stages).map((stage, index) => `SUM(stage = ${STAGES[stage]}) AS s${index}`)}
      FROM octoflow_requests WHERE queue_id = (SELECT id FROM octoflow_queues WHERE name = '${name}')`)
    assert.deepEqual(Object.values(stages), Object.values(row!).map(Number), `${name}, ${told}`)
  }
  assert.deepEqual(await query(WRONG_LANES), [], told)
  assert.deepEqual(await query(EXCEEDED), [], told)
})

const STAGES: Readonly<Record<string, number>> = {
  ready: 0,
  scheduled: 1,
  held: 2,
  running: 3,
  completed: 4,
  cancelled: 5,
  dead: 6,
}

const WRONG_LANES = `SELECT l.queue_id, l.concurrency_key FROM octoflow_lanes l
  LEFT JOIN octoflow_requests r ON r.queue_id = l.queue_id AND r.concurrency_key = l.concurrency_key AND r.stage IN (0, 3)
  GROUP BY l.queue_id, l.concurrency_key, l.running, l.ready
  HAVING l.running <> COALESCE(SUM(r.stage = 3), 0) OR l.ready <> COALESCE(SUM(r.stage = 0), 0)`

const EXCEEDED = `SELECT q.name, r.concurrency_key FROM octoflow_requests r JOIN octoflow_queues q ON q.id = r.queue_id
  WHERE r.stage = 3 AND r.concurrency_key IS NOT NULL
  GROUP BY q.name, q.key_concurrency, r.concurrency_key HAVING COUNT(*) > q.key_concurrency`

class Caller {
  readonly #storage: Storage
  readonly #worker: string
  readonly #random: Random
  #newest = 1

  constructor(storage: Storage, worker: string, random: Random) {
    this.#storage = storage
    this.#worker = worker
    this.#random = random
  }

  async act(): Promise<void> {
    const { jobs, leases, events, requests } = this.#storage
    const note = { now: NOW, note: 'note' }
    switch (this.#random.between(0, 9)) {
      case 0:
      case 1:
        return this.#submit()
      case 2:
        return void (await jobs.cancel({ ...note, ids: [this.#id(), this.#id()], reason: '' }))
      case 3:
        return void (await jobs.retry({ ...note, items: [{ id: this.#id(), payload: null, queue: null }] }))
      case 4:
        return void (await leases.renew({ now: NOW, id: this.#id(), worker: this.#worker, lease: LEASE, start: true }))
      case 5:
        return void (await jobs.edit({ ...note, id: this.#id(), change: { priority: this.#random.between(0, 9) } }))
      case 6:
        if (this.#random.chance(0.1)) return void (await requests.delete({ now: NOW, ids: [this.#id()] }))
        return void (await events.append({ now: NOW, items: [{ jobId: this.#id(), event: event('said') }] }))
      default:
        return this.#work()
    }
  }

  #id(): number {
    return this.#random.between(1, this.#newest)
  }

  async #submit(): Promise<void> {
    const random = this.#random
    const wishes = range(1, random.between(1, 10)).map(
      (): Wish => ({
        queue: random.pick(QUEUES),
        concurrencyKey: random.chance(0.5) ? `key-${random.between(1, 6)}` : null,
        uniqueKey: random.chance(0.2) ? `once-${random.between(1, 30)}` : null,
        priority: random.between(0, 9),
        idempotency: random.chance(0.2)
          ? { key: `call-${random.between(1, 50)}`, fingerprint: null, expiresAt: after(600) }
          : null,
      }),
    )
    const submitted = await this.#storage.requests.submit({ now: NOW, items: wishes.map(newRequest) })
    this.#newest = Math.max(this.#newest, ...submitted.map(({ id }) => id))
  }

  async #work(): Promise<void> {
    const { leases } = this.#storage
    const [queue, limit] = [this.#random.pick(QUEUES), this.#random.between(1, 8)]
    const { jobs } = await leases.claim({ now: NOW, queue, worker: this.#worker, limit, lease: LEASE })
    const reports = jobs.map(({ id, fence }) => ({
      id,
      fence,
      outcome: this.#random.chance(0.7) ? COMPLETED : FAILED,
      finishedAt: null,
      events: this.#random.chance(0.5) ? [event('done')] : [],
    }))
    if (reports.length > 0) await leases.report({ now: NOW, reports })
  }
}
