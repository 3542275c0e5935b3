import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { PendingJob } from '../capture/capturing.ts'
import { KEY } from '../support/server-process.ts'
import { until } from '../support/until.ts'
import { reading } from './support/database.ts'
import { readCounts } from './support/found.ts'
import { seeded, stream } from './support/seed.ts'
import { Site } from './support/site.ts'

const QUEUE = 'OldApp'
const JOBS = 600
const KILLS = 8
const THREADS = 6

/** The share of jobs whose client vanishes after it has taken them. */
const DESERTS = 0.05

const RETRY_MS = 50

/** A server gives workers 12 s to find it after its start before it takes a job back; then it looks every second. */
const TAKEN_BACK_WITHIN = 12 + 2

test('No job of the capture API is lost when the server is killed under clients that know no leases.', async (t) => {
  await seeded(async (seed) => {
    const random = stream(seed, 0)
    const desertion = stream(seed, 1)
    const site = await Site.open(t, { config: 'capture:\n  leaseSeconds: 2\n' })
    assert.equal((await site.client.patch(`/api/v1/queues/${QUEUE}`, { json: { maxAttempts: 100 } })).status, 200)
    const clients = new OldClients(site.url, () => desertion.chance(DESERTS))
    const working = clients.work()
    const capturing = clients.capture()
    for (let kill = 1; kill <= KILLS; kill++) {
      await setTimeout(random.between(100, 1_200))
      await site.kill()
      await site.start()
    }
    const ids = await capturing
    await until(
      async () => {
        const { pending, running } = (await readCounts(site.client)).get(QUEUE)!
        return pending + running === 0
      },
      { what: 'all jobs are done', withinSeconds: TAKEN_BACK_WITHIN + 10, everyMs: 100 },
    )
    clients.stop()
    await working

    t.diagnostic(JSON.stringify({ seed, captured: ids.length, taken: clients.taken.length, lostCalls: clients.lostCalls }))
    assert.ok(clients.lostCalls > 0, 'calls were cut off')
    assert.ok(clients.taken.length > clients.done.length, 'clients vanished with the jobs they had')
    const rows = reading(site.data, (database) => database.prepare('SELECT id, status, finished_date FROM jobs').all())
    const statuses = new Map(rows.map(({ id, status }) => [id, status]))
    assert.deepEqual(
      ids.filter((id) => statuses.get(id) !== 'Completed'),
      [],
      'every captured request’s job is completed',
    )
    assert.deepEqual(
      rows.filter(({ status, finished_date: finishedDate }) => status !== 'Completed' || finishedDate === null),
      [],
    )
    const done = new Set(clients.done)
    assert.deepEqual(
      rows.filter(({ id }) => !done.has(id as number)),
      [],
      'no job was completed that no client had done',
    )
    const handled = reading(site.data, (database) =>
      database.prepare('SELECT count(*) AS n FROM requests WHERE is_handled = 1').get(),
    )
    assert.equal(handled!.n, rows.length)
  })
})

/** Clients as the released ones are: they poll, hold no token, and try a call again that was not answered. */
class OldClients {
  readonly taken: number[] = []
  readonly done: number[] = []
  readonly #url: string
  readonly #deserts: () => boolean
  #stopped = false
  #lostCalls = 0

  constructor(url: string, deserts: () => boolean) {
    this.#url = url
    this.#deserts = deserts
  }

  get lostCalls(): number {
    return this.#lostCalls
  }

  stop(): void {
    this.#stopped = true
  }

  /** @returns the ids that the server gave for captured requests. */
  async capture(): Promise<readonly number[]> {
    const ids: number[] = []
    for (let index = 0; index < JOBS; index++) {
      const answer = await this.#insist('POST', `/request?custom_value=${QUEUE}`, { index })
      ids.push((answer as { readonly id: number }).id)
      await setTimeout(10)
    }
    return ids
  }

  async work(): Promise<void> {
    await Promise.all(Array.from({ length: THREADS }, () => this.#thread()))
  }

  async #thread(): Promise<void> {
    while (!this.#stopped) {
      const job = (await this.#try('GET', `/jobs/next-pending?custom_value=${QUEUE}`)) as PendingJob | null
      if (job === null) await setTimeout(RETRY_MS)
      else await this.#perform(job.job_id)
    }
  }

  async #perform(id: number): Promise<void> {
    this.taken.push(id)
    if (this.#deserts()) return
    await this.#insist('POST', `/jobs/${id}/insert-event`, { job_id: id, message: 'Request processed successfully' })
    this.done.push(id)
    await this.#insist('PUT', `/jobs/${id}/update-status`, { status: 'Completed' })
    await this.#insist('PUT', `/jobs/${id}/mark-handled`)
  }

  /** Until it is answered. */
  async #insist(method: string, path: string, json?: unknown): Promise<unknown> {
    while (true) {
      const answer = await this.#try(method, path, json)
      if (answer !== null) return answer
      await setTimeout(RETRY_MS)
    }
  }

  /** @returns `null` if there was no answer, or nothing was found. */
  async #try(method: string, path: string, json?: unknown): Promise<unknown> {
    let status: number
    let text: string
    try {
      const response = await fetch(this.#url + path, {
        method,
        headers: { authorization: `Bearer ${KEY}`, ...(json !== undefined && { 'content-type': 'application/json' }) },
        ...(json !== undefined && { body: JSON.stringify(json) }),
      })
      status = response.status
      text = await response.text()
    } catch {
      this.#lostCalls++
      return null
    }
    if (status === 404 && method === 'GET') return null
    assert.equal(status, 200, `${method} ${path}: ${text}`)
    return JSON.parse(text)
  }
}
