import assert from 'node:assert/strict'
import type { Client } from '../../support/client.ts'
import { type FoundJob, readCounts, readDetails, readJobs, readMarkers } from './found.ts'
import { type Attempt, grouped, mostAtOnce } from './journal.ts'
import { QUEUES, type Wanted } from './submitter.ts'

/** What was asked for and what was seen while servers and workers were killed; all has come to rest. */
export interface Evidence {
  readonly client: Client
  readonly wanted: readonly Wanted[]
  readonly attempts: readonly Attempt[]
  /** The time of day, in microseconds since the epoch, when the journal's clock showed 0. */
  readonly journalEpoch: number
  /**
   * How long a call may have waited for its commit, in seconds: it bears the time when it came, and where several servers share a
   * database nothing but the commits is in order.
   */
  readonly commitWithin: number
}

/**
 * @returns all jobs.
 * @throws with the jobs for which a promise was broken.
 */
export async function verify(evidence: Evidence): Promise<readonly FoundJob[]> {
  const { client, wanted, attempts, commitWithin } = evidence
  const jobs = await readJobs(client)
  assertAcknowledged(wanted, jobs, await readMarkers(client))
  assertFinal(wanted, jobs)
  assertUnique(jobs, commitWithin)
  await assertCounted(client, jobs)
  assertNeverAtOnce(attempts)
  assertNotTooEarly(evidence, jobs)
  await assertLastAttemptCounts(client, jobs, attempts)
  return jobs
}

function none<Item>(what: string, items: readonly Item[]): void {
  assert.deepEqual(items.slice(0, 5), [], `${what} (${items.length} of them; these are the first)`)
}

/** Every answer stays true, what was repeated under an idempotency key was done once, and nothing came from nowhere. */
function assertAcknowledged(wanted: readonly Wanted[], jobs: readonly FoundJob[], markers: ReadonlyMap<number, string>): void {
  const byId = new Map(jobs.map((job) => [job.id, job]))
  const idsOf = new Map<string, number[]>()
  for (const [id, marker] of markers) idsOf.set(marker, [...(idsOf.get(marker) ?? []), id])
  const lost = wanted.filter(({ id }) => id !== null && !byId.has(id))
  none('jobs that a client was told of and that are gone', lost)
  none(
    'requests of which several jobs were made',
    [...idsOf].filter(([, ids]) => ids.length > 1),
  )
  none(
    'jobs that are not those that their clients were told of',
    wanted.filter(({ id, marker, uniqueKey }) => {
      if (id === null) return false
      // Whoever finds the unique key taken is told of the job that has it.
      return uniqueKey === null ? markers.get(id) !== marker : byId.get(id)!.uniqueKey !== uniqueKey
    }),
  )
  none(
    'requests that were repeated until they were answered, without an answer',
    wanted.filter(({ insisted, id }) => insisted && id === null),
  )
  const asked = new Set(wanted.map(({ marker }) => marker))
  none(
    'jobs that nobody asked for',
    [...idsOf.keys()].filter((marker) => !asked.has(marker)),
  )
}

function assertFinal(wanted: readonly Wanted[], jobs: readonly FoundJob[]): void {
  const byId = new Map(jobs.map((job) => [job.id, job]))
  const wrong = wanted.filter(({ id, uniqueKey, state }) => id !== null && uniqueKey === null && byId.get(id)!.state !== state)
  none('jobs that ended otherwise than they had to', wrong)
  none(
    'jobs that did not end',
    jobs.filter(({ state }) => state === 'pending' || state === 'running'),
  )
}

/** Of two jobs with one unique key, the second is not made before the first has ended. */
function assertUnique(jobs: readonly FoundJob[], commitWithin: number): void {
  const keyed = Map.groupBy(
    jobs.filter(({ uniqueKey }) => uniqueKey !== null),
    ({ queue, uniqueKey }) => `${queue} ${uniqueKey}`,
  )
  for (const group of keyed.values())
    for (const [index, job] of group.entries()) {
      const before = group[index - 1]
      if (before === undefined) continue
      const overlap = (Date.parse(before.finishedAt!) - Date.parse(job.createdAt)) / 1_000
      assert.ok(overlap <= commitWithin, `jobs ${before.id} and ${job.id} had one unique key at once for ${overlap} s`)
    }
}

/** The counts of the queues, which are kept and not taken, are right. */
async function assertCounted(client: Client, jobs: readonly FoundJob[]): Promise<void> {
  const counts = await readCounts(client)
  for (const [queue, kept] of counts)
    for (const state of ['pending', 'running', 'completed', 'cancelled', 'dead'] as const) {
      const actual = jobs.filter((job) => job.queue === queue && job.state === state).length
      assert.equal(kept[state], actual, `the queue ${queue} counts its ${state} jobs`)
    }
}

/**
 * No job runs beside itself, and no concurrency key has more running than it may.
 *
 * What this sees are the spans in which handlers noted that they ran. A handler whose lease ended must have stopped before
 * another began, because its worker fires its signal by then at the latest; that holds as long as the worker's process gets
 * the processor in time, and a worker that was killed stopped when it was. What it cannot see is a handler that goes on
 * although its signal has fired: against that no server can help, but only the fencing token.
 */
export function assertNeverAtOnce(attempts: readonly Attempt[], limits: Readonly<Record<string, number>> = QUEUES): void {
  none(
    'attempts that never ended',
    attempts.filter(({ conclusion }) => conclusion === 'running'),
  )
  const overlapping = [...grouped(attempts, ({ job }) => job)].filter(([, group]) => mostAtOnce(group) > 1)
  none(
    'jobs that ran twice at once',
    overlapping.map(([job, group]) => ({ job, group })),
  )
  for (const [key, group] of grouped(attempts, ({ queue, key }) => (key === null ? null : `${queue} ${key}`))) {
    const limit = limits[group[0]!.queue] ?? 1
    const most = mostAtOnce(group)
    assert.ok(most <= limit, `of the key “${key}”, ${most} jobs ran at once, and ${limit} may`)
  }
}

/** The two clocks are read one after the other, and one of them in whole milliseconds. */
const CLOCK_NOISE = 5_000

function assertNotTooEarly({ attempts, journalEpoch }: Evidence, jobs: readonly FoundJob[]): void {
  const runAt = new Map(jobs.map((job) => [job.id, Date.parse(job.createdAt) * 1_000]))
  none(
    'jobs that began before they were made',
    attempts.filter(({ job, begin }) => begin + journalEpoch + CLOCK_NOISE < runAt.get(job)!),
  )
  const delayed = new Map(jobs.filter(({ attempt }) => attempt === 1).map((job) => [job.id, Date.parse(job.runAt) * 1_000]))
  none(
    'jobs that began before their time',
    attempts.filter(({ job, begin }) => begin + journalEpoch + CLOCK_NOISE < (delayed.get(job) ?? 0)),
  )
}

/**
 * A job is completed by the last of its attempts, once: had one begun after that which completed it, the job would have been
 * handed out although it was done. And work that was done is done again only if its worker was killed before it could report
 * it, never because the server was.
 */
async function assertLastAttemptCounts(client: Client, jobs: readonly FoundJob[], attempts: readonly Attempt[]): Promise<void> {
  const byJob = grouped(attempts, ({ job }) => job)
  const completed = jobs.filter(({ state }) => state === 'completed')
  const details = await readDetails(
    client,
    completed.map(({ id }) => id),
  )
  for (const { id } of completed) {
    const last = byJob.get(id)?.at(-1)
    const completions = details.get(id)!.attempts.filter(({ outcome }) => outcome === 'completed')
    assert.equal(completions.length, 1, `the job ${id} was completed once`)
    assert.equal(details.get(id)!.result?.run, last?.run, `the job ${id} was completed by the last attempt that began`)
    assert.equal(last!.conclusion, 'done', `the attempt that completed the job ${id} was done`)
  }
}

/** The attempts that had their work done and were followed by another all the same. */
export const doneInVain = (attempts: readonly Attempt[]): readonly Attempt[] =>
  [...grouped(attempts, ({ job }) => job).values()].flatMap((group) =>
    group.slice(0, -1).filter(({ conclusion }) => conclusion === 'done'),
  )
