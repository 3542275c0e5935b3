import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import type { Client } from '../../support/client.ts'
import type { Owner } from '../../support/owner.ts'
import { until } from '../../support/until.ts'
import { readCounts } from './found.ts'
import { monotonicNow, readJournal } from './journal.ts'
import { Lifetime } from './lifetime.ts'
import { residentMemory } from './memory.ts'
import { type Random, stream } from './seed.ts'
import type { Site } from './site.ts'
import { QUEUES, Submitter } from './submitter.ts'
import { doneInVain, verify } from './verify.ts'
import type { WorkerProcess, WorkerSettings } from './worker-process.ts'

/** How bad it gets. */
export interface StormSettings {
  readonly seed: number
  /** How often the server is killed. */
  readonly kills: number
  /** After how many kills the server is left alone for once until leases end. */
  readonly calmEvery: number
  /** Where the workers note what they do; a file of this storm's own. */
  readonly journal: string
}

/** What a storm did and what came through it. */
export interface StormCounts {
  readonly serverKills: number
  readonly workerKills: number
  readonly wanted: number
  readonly jobs: number
  readonly lostAnswers: number
  readonly retries: number
  readonly attempts: number
  /** Attempts cut off by the death of their worker. */
  readonly cutOff: number
  /** Done by a worker that died before it could say so, and so done twice. */
  readonly doneTwice: number
  /** From the last start of a server until all jobs had come to an end. */
  readonly settledSeconds: number
  /** The most memory that a server was seen to have when it was killed, in bytes. */
  readonly peakMemory: number
}

const WORKERS = 4
const SUBMITTERS = 6
const PACE_MS = 40
const LEASE_SECONDS = 5

/**
 * For so long after its start a server lets no lease end, because workers could not reach the one before. Only then, and
 * only if it lives so long, does it take back what killed workers held.
 */
const GRACE_SECONDS = 12

/** The server looks for leases that ran out every second. */
const RESCUE_SECONDS = 2

/** What waits for a key or a delay has its turn after what was taken back. */
const TAIL_SECONDS = 15

/** The server's share of unlucky starts: it dies before it listens. */
const STILLBORN = 0.2

/** Submits, works and kills; then lets everything come to rest and holds it against what was promised. */
export async function storm(site: Site, { seed, kills, calmEvery, journal }: StormSettings): Promise<StormCounts> {
  await configureQueues(site.client)
  const journalEpoch = Date.now() * 1_000 - monotonicNow()
  await using lifetime = new Lifetime()
  const crew = new Crew(site, lifetime, journal)
  await crew.muster()
  const submitters = Array.from(
    { length: SUBMITTERS },
    (_, index) => new Submitter(`s${index}-${seed}`, site.url, stream(seed, index)),
  )
  const submitting = Promise.all(submitters.map((submitter) => submitter.run(PACE_MS)))
  submitting.catch(() => undefined)
  const harassment = new AbortController()
  const harassing = crew.harass(stream(seed, 100), harassment.signal)
  harassing.catch(() => undefined)

  const peakMemory = await killServers(site, stream(seed, 200), kills, calmEvery)
  const lastStart = performance.now()
  for (const submitter of submitters) submitter.stop()
  harassment.abort()
  await Promise.all([submitting, harassing])
  await settled(site.client, GRACE_SECONDS + RESCUE_SECONDS + TAIL_SECONDS)
  const settledSeconds = (performance.now() - lastStart) / 1_000
  await crew.dismiss()

  const attempts = readJournal(journal, crew.killedAt)
  const wanted = submitters.flatMap((submitter) => submitter.wanted)
  const jobs = await verify({ client: site.client, wanted, attempts, journalEpoch, commitWithin: 0 })
  const inVain = doneInVain(attempts)
  const careless = inVain.filter(({ worker }) => !crew.killedAt.has(worker))
  assert.deepEqual(careless, [], 'what was done by a worker that lived to report it is not done again')
  return {
    serverKills: kills,
    workerKills: crew.killedAt.size,
    wanted: wanted.length,
    jobs: jobs.length,
    lostAnswers: sum(submitters, ({ lostAnswers }) => lostAnswers),
    retries: sum(submitters, ({ retries }) => retries),
    attempts: attempts.length,
    cutOff: attempts.filter(({ conclusion }) => conclusion === 'killed').length,
    doneTwice: inVain.length,
    settledSeconds,
    peakMemory,
  }
}

const sum = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
  items.reduce((total, item) => total + of(item), 0)

/** Of a server that is to serve a storm's submitters. */
export async function configureQueues(client: Client): Promise<void> {
  for (const [queue, keyConcurrency] of Object.entries(QUEUES)) {
    // Enough attempts for any number of killed workers, and backoffs that do not draw out the end.
    const backoff = { baseSeconds: 0.05, factor: 1.5, maxSeconds: 0.5, jitter: 0.5 }
    const answer = await client.patch(`/api/v1/queues/${queue}`, { json: { keyConcurrency, maxAttempts: 1_000, backoff } })
    assert.equal(answer.status, 200, answer.text)
  }
}

/** @returns the most memory that a server had when it was killed. */
async function killServers(site: Site, random: Random, kills: number, calmEvery: number): Promise<number> {
  let memory = 0
  for (let kill = 1; kill <= kills; kill++) {
    const calm = kill % calmEvery === 0
    await setTimeout(calm ? (GRACE_SECONDS + RESCUE_SECONDS) * 1_000 : random.between(100, 2_000))
    memory = Math.max(memory, residentMemory(site.server.pid))
    await site.kill()
    if (random.chance(0.3)) await setTimeout(random.between(0, 1_500))
    if (kill < kills && random.chance(STILLBORN)) {
      kill++
      site.begin()
      await setTimeout(random.between(0, 350))
      await site.kill()
    }
    await site.start()
  }
  return memory
}

/** Resolves when no job is pending or running any more. */
export async function settled(client: Client, withinSeconds: number): Promise<void> {
  await until(
    async () => {
      const counts = await readCounts(client)
      return [...counts.values()].every(({ pending, running }) => pending + running === 0)
    },
    { what: 'all jobs have come to an end', withinSeconds, everyMs: 100 },
  )
}

/** The workers, some of which die and are replaced. */
class Crew {
  readonly killedAt = new Map<string, number>()
  readonly #site: Site
  readonly #owner: Owner
  readonly #settings: Partial<WorkerSettings>
  #workers: WorkerProcess[] = []

  constructor(site: Site, owner: Owner, journal: string) {
    this.#site = site
    this.#owner = owner
    this.#settings = { queues: Object.keys(QUEUES), leaseSeconds: LEASE_SECONDS, journal }
  }

  async muster(): Promise<void> {
    this.#workers = await Promise.all(Array.from({ length: WORKERS }, () => this.#site.worker(this.#settings, this.#owner)))
  }

  /** Kills one after the other until told to stop. */
  async harass(random: Random, signal: AbortSignal): Promise<void> {
    while (true) {
      try {
        await setTimeout(random.between(500, 4_000), undefined, { signal })
      } catch {
        return
      }
      const victim = random.between(0, WORKERS - 1)
      const worker = this.#workers[victim]!
      await worker.kill()
      this.killedAt.set(worker.name, worker.killedAt!)
      this.#workers[victim] = await this.#site.worker(this.#settings, this.#owner)
    }
  }

  async dismiss(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()))
  }
}
