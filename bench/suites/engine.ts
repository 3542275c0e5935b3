import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Dispatcher } from '../../packages/server/src/core/engine/dispatcher.ts'
import { Roster } from '../../packages/server/src/core/engine/roster.ts'
import { Work } from '../../packages/server/src/core/engine/work.ts'
import { Feed } from '../../packages/server/src/core/feed.ts'
import { type Incoming, Intake } from '../../packages/server/src/core/jobs/intake.ts'
import { Outage } from '../../packages/server/src/core/maintenance/outage.ts'
import type { Ports } from '../../packages/server/src/core/ports.ts'
import { SystemClock } from '../../packages/server/src/lib/clock.ts'
import { SECOND } from '../../packages/server/src/lib/time.ts'
import type { Principal } from '../../packages/server/src/model/access.ts'
import { openSqlite } from '../../packages/server/src/storage/drivers/sqlite/index.ts'
import { SqliteByHand } from '../ceilings/sqlite-by-hand.ts'
import { commits } from '../commits.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showPercent, showRate } from '../report.ts'
import { alternate, figuresOf, ratios } from '../runs.ts'

const BATCH = 500
const CALLERS = 64
const SMALL = '{"n":1}'
const LARGE = JSON.stringify({ data: 'x'.repeat(1000) })

const BENCH: Principal = { name: 'bench', role: 'admin', queues: null }

/** The engine without HTTP: submit, claim and complete, history kept, beside node:sqlite by hand. */
export async function engine({ runs, scale }: BenchOptions): Promise<Report> {
  const count = Math.ceil((200_000 * scale) / BATCH) * BATCH
  const each = Math.ceil((100_000 * scale) / CALLERS)
  const results = await alternate(
    {
      handSmall: async () => byHand(count, SMALL),
      oursSmall: () => withEngine((engine) => endToEnd(engine, count, SMALL)),
      handLarge: async () => byHand(count / 2, LARGE),
      oursLarge: () => withEngine((engine) => endToEnd(engine, count / 2, LARGE)),
      callers: () => withEngine((engine) => manyCallers(engine, each)),
    },
    runs,
  )
  // Batches make the same commits in every run; how many callers share one differs.
  const syncs = {
    batches: await withEngine((engine) => commitsPer(BATCH, () => endToEnd(engine, BATCH, SMALL))),
    callers: await withEngine((engine) => commitsPer(CALLERS * each, () => manyCallers(engine, each))),
  }
  const small = ratios(results.oursSmall, results.handSmall)
  const large = ratios(results.oursLarge, results.handLarge)
  const callers = figuresOf(results.callers)
  return {
    suite: 'engine',
    title: 'Engine, in process',
    setup: [
      `batches of ${BATCH}: submit, claim, report as completed, one after the other; ${count} jobs a run (half for 1 kB), ${runs} counted runs, a new database each`,
      'by hand: node:sqlite, one table with one index, `synchronous = FULL`, the same batches; no requests, limits, leases, lists or counts',
      `${CALLERS} callers: each submits one job and waits for its commit before the next`,
      'syncs: commits, of which each syncs the log once; those of checkpoints come on top',
    ],
    bars: [
      {
        what: 'share of the ceiling by hand, end to end',
        wanted: '≥ 60%',
        measured: showPercent(small),
        met: small.median >= 0.6,
      },
      {
        what: `${CALLERS} independent callers submitting`,
        wanted: '≥ 30k jobs/s',
        measured: showRate(callers, 'jobs/s'),
        met: callers.median >= 30_000,
      },
    ],
    details: [
      [
        '| payload | by hand | Octoflow | share |',
        '|---|---|---|---|',
        `| ${SMALL.length} bytes | ${showRate(figuresOf(results.handSmall), 'jobs/s')} | ${showRate(figuresOf(results.oursSmall), 'jobs/s')} | ${showPercent(small)} |`,
        `| 1 kB | ${showRate(figuresOf(results.handLarge), 'jobs/s')} | ${showRate(figuresOf(results.oursLarge), 'jobs/s')} | ${showPercent(large)} |`,
      ].join('\n'),
      [
        '| | syncs of the log per job |',
        '|---|---|',
        `| batches of ${BATCH}, end to end | ${syncs.batches.toPrecision(2)} |`,
        `| ${CALLERS} callers, submitting | ${syncs.callers.toPrecision(2)} |`,
      ].join('\n'),
    ],
  }
}

function byHand(count: number, payload: string): number {
  using queue = new SqliteByHand()
  return count / queue.endToEnd(count, BATCH, payload)
}

interface Engine {
  readonly intake: Intake
  readonly work: Work
}

/** @returns how many commits there were for each of so many jobs. */
async function commitsPer(jobs: number, run: () => Promise<number>): Promise<number> {
  const before = commits()
  await run()
  return (commits() - before) / jobs
}

/** @returns jobs per second. */
async function endToEnd({ intake, work }: Engine, count: number, payload: string): Promise<number> {
  const jobs = Array.from({ length: BATCH }, () => job(payload))
  const begun = performance.now()
  for (let done = 0; done < count; done += BATCH) {
    await intake.acceptAll(jobs, null, BENCH)
    const wish = { queue: 'bench', worker: 'bench', limit: BATCH, lease: 30 * SECOND, wait: 0 }
    const { jobs: claimed } = await work.claim(wish, BENCH, null)
    const results = await work.report(
      'bench',
      claimed.map(({ id, fence }) => ({ id, fence, outcome: { kind: 'completed', result: null }, events: [] })),
      BENCH,
    )
    if (results.length !== BATCH || results.some(({ error }) => error !== null)) throw new Error('a job was lost on the way')
  }
  return (count / (performance.now() - begun)) * 1000
}

async function manyCallers({ intake }: Engine, each: number): Promise<number> {
  const begun = performance.now()
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      for (let i = 0; i < each; i++) await intake.accept(job(SMALL), null, BENCH)
    }),
  )
  return ((CALLERS * each) / (performance.now() - begun)) * 1000
}

const job = (body: string): Incoming => ({
  source: 'api',
  sourceIp: null,
  userAgent: null,
  method: 'POST',
  url: '/api/v1/jobs',
  headers: null,
  contentType: 'application/json',
  body,
  queue: 'bench',
  job: null,
})

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

async function withEngine<Result>(use: (engine: Engine) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'octoflow-bench-'))
  const storage = openSqlite({ path: join(directory, 'octoflow.db'), onError: console.error })
  const clock = new SystemClock()
  const ports: Ports = { storage, clock, logger: SILENT, outage: new Outage(clock, SILENT), random: Math.random }
  const roster = new Roster(ports)
  const dispatcher = new Dispatcher(ports)
  const feed = new Feed(ports)
  try {
    await storage.migrations.migrate({ now: clock.now() })
    await dispatcher.start()
    return await use({ intake: new Intake(ports, feed), work: new Work(ports, dispatcher, roster, feed) })
  } finally {
    await dispatcher.stop()
    await storage.close()
    rmSync(directory, { recursive: true })
  }
}
