import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import type { DatabaseServer } from '../../support/database-server.ts'
import { Cluster } from './cluster.ts'
import { monotonicNow, readJournal } from './journal.ts'
import { Lifetime } from './lifetime.ts'
import { type Outage, recovery } from './recovery.ts'
import { type Random, stream } from './seed.ts'
import { configureQueues, settled } from './storm.ts'
import { QUEUES, Submitter } from './submitter.ts'
import { doneInVain, verify } from './verify.ts'

export interface SharedStormSettings {
  readonly seed: number
  /** How long something is killed every second. */
  readonly seconds: number
}

/** What a storm over several servers did and what came through it. */
export interface SharedStormCounts {
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
  /** Jobs completed in a second before the database was first restarted. */
  readonly perSecond: number
  /** After each restart of the database, how long it took until jobs were completed as fast as before. */
  readonly recoverySeconds: readonly number[]
  /** From when all was whole again until all jobs had come to an end. */
  readonly settledSeconds: number
}

const SERVERS = 3
const WORKERS = 8
const SUBMITTERS = 6
const PACE_MS = 40

const KILL_EVERY_MS = 1_000

/** Longer than it takes to replace a server, or the database, on a busy machine: no lease ends but those of the dead. */
const LEASE_SECONDS = 10

/** When the database is restarted, as shares of the storm, and how it ends. */
const RESTARTS = [
  { at: 0.25, end: 'kill' },
  { at: 0.6, end: 'stop' },
] as const satisfies readonly { readonly at: number; readonly end: keyof DatabaseServer }[]

/** What was started before the database was away is left for twelve seconds; lost jobs are looked for every second. */
const REST_SECONDS = 12 + LEASE_SECONDS + 2

/** A submit may wait for its turn behind commits of other servers, and for the database to come back. */
const COMMIT_WITHIN_SECONDS = 5

/** What waits for the key of a job whose worker died has its turn after that was taken back: the longer, the more there is. */
const TAIL_SECONDS = 20
const TAIL_SHARE = 0.5

/** Kills servers, workers and the database under load; then lets everything come to rest and holds it against what was promised. */
export async function sharedStorm(
  database: DatabaseServer,
  { seed, seconds }: SharedStormSettings,
): Promise<SharedStormCounts> {
  const work = { queues: Object.keys(QUEUES), concurrency: 4, leaseSeconds: LEASE_SECONDS }
  await using lifetime = new Lifetime()
  const cluster = await Cluster.open(lifetime, { databaseUrl: database.url, servers: SERVERS, workers: WORKERS, work })
  await configureQueues(cluster.client)
  const journalEpoch = Date.now() * 1_000 - monotonicNow()
  const submitters = Array.from(
    { length: SUBMITTERS },
    (_, index) => new Submitter(`s${index}-${seed}`, cluster.url, stream(seed, index)),
  )
  const begun = Date.now()
  const submitting = Promise.all(submitters.map((submitter) => submitter.run(PACE_MS)))
  submitting.catch(() => undefined)
  const killing = killMembers(cluster, stream(seed, 100), seconds)
  let outages: readonly Outage[]
  try {
    outages = await restart(database, seconds)
  } finally {
    await killing
    await cluster.whole()
  }
  for (const submitter of submitters) submitter.stop()
  const whole = performance.now()
  await submitting
  await settled(cluster.client, REST_SECONDS + TAIL_SECONDS + TAIL_SHARE * seconds)
  const settledSeconds = (performance.now() - whole) / 1_000
  await cluster.dismiss()

  const { killedAt } = cluster
  const attempts = readJournal(cluster.journal, killedAt)
  const wanted = submitters.flatMap((submitter) => submitter.wanted)
  const jobs = await verify({ client: cluster.client, wanted, attempts, journalEpoch, commitWithin: COMMIT_WITHIN_SECONDS })
  const inVain = doneInVain(attempts)
  const careless = inVain.filter(({ worker }) => !killedAt.has(worker))
  assert.deepEqual(careless, [], 'what was done by a worker that lived to report it is not done again')
  const completedAt = jobs.filter(({ state }) => state === 'completed').map(({ finishedAt }) => Date.parse(finishedAt!))
  return {
    serverKills: cluster.serverKills,
    workerKills: killedAt.size,
    wanted: wanted.length,
    jobs: jobs.length,
    lostAnswers: submitters.reduce((sum, { lostAnswers }) => sum + lostAnswers, 0),
    retries: submitters.reduce((sum, { retries }) => sum + retries, 0),
    attempts: attempts.length,
    cutOff: attempts.filter(({ conclusion }) => conclusion === 'killed').length,
    doneTwice: inVain.length,
    ...recovery(completedAt, begun, outages),
    settledSeconds,
  }
}

async function killMembers(cluster: Cluster, random: Random, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1_000
  while (performance.now() < end) {
    await setTimeout(KILL_EVERY_MS)
    cluster.killOne(random)
  }
}

/** Restarts the database at its times. @returns when it was away. */
async function restart(database: DatabaseServer, seconds: number): Promise<readonly Outage[]> {
  const begun = performance.now()
  const outages: Outage[] = []
  for (const { at, end } of RESTARTS) {
    await setTimeout(begun + at * seconds * 1_000 - performance.now())
    const from = Date.now()
    await database[end]()
    await database.start()
    outages.push({ from, to: Date.now() })
  }
  return outages
}
