import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'
import { openPostgres } from '../../packages/server/src/storage/drivers/postgres/index.ts'
import { PostgresServer } from '../../packages/server/test/drivers/postgres-server.ts'
import { PostgresByHand } from '../ceilings/postgres-by-hand.ts'
import {
  BATCH,
  claim,
  clock,
  KEYS,
  LOOPS,
  newRequest,
  PAYLOAD,
  phases,
  type Rates,
  rateOf,
  rateOneByOne,
  ratesOf,
  submit,
  WORKERS,
} from '../load/storage-load.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showMs, showPercent, showRate } from '../report.ts'
import { GraphileWorker, loadGraphileWorker } from '../rivals/graphile-worker.ts'
import { loadPgBoss, PgBossQueue } from '../rivals/pg-boss.ts'
import { alternate, type Figures, figuresOf, percentile, ratios } from '../runs.ts'

interface OneByOne {
  readonly rate: number
  readonly syncsPerJob: number
}

/** The PostgreSQL driver beside the same queue by hand and, where they are installed, graphile-worker and pg-boss. */
export async function postgres({ runs, scale }: BenchOptions): Promise<Report> {
  const count = Math.ceil((100_000 * scale) / BATCH) * BATCH
  const few = Math.ceil((20_000 * scale) / BATCH) * BATCH
  await using server = await PostgresServer.start({ settings: ['shared_buffers=512MB', 'max_wal_size=4GB'] })
  const library = loadGraphileWorker()
  const graphile = (jobs: number, tuned: boolean) => async (): Promise<number> =>
    library === null ? 0 : byGraphile(library, server.url, jobs, tuned)
  const boss = await loadPgBoss()
  const results = await alternate(
    {
      hand: () => byHand(server.url, count),
      ours: () => withStorage(server.url, (storage) => ratesOf(storage, count, null)),
      keyed: () => withStorage(server.url, (storage) => ratesOf(storage, count, KEYS)),
      graphileTuned: graphile(count, true),
      bossTuned: async () => (boss === null ? 0 : byPgBoss(boss, server.url, count)),
      oneByOne: () => oneByOne(server, few),
      graphilePlain: graphile(few, false),
      latency: () => withStorage(server.url, (storage) => latencies(storage, Math.ceil(500 * scale))),
      graphileLatency: async () => (library === null ? [] : graphileLatencies(library, server.url, Math.ceil(500 * scale))),
    },
    runs,
  )
  const rates = (of: readonly Rates[], what: keyof Rates): number[] => of.map((run) => run[what])
  const endToEnd = ratios(rates(results.ours, 'endToEnd'), rates(results.hand, 'endToEnd'))
  const keyed = ratios(rates(results.keyed, 'endToEnd'), rates(results.ours, 'endToEnd'))
  const singles = results.oneByOne.map(({ rate }) => rate)
  const syncs = figuresOf(results.oneByOne.map(({ syncsPerJob }) => syncsPerJob))
  const p50 = results.latency.map((waits) => percentile(waits, 0.5))
  const p99 = figuresOf(results.latency.map((waits) => percentile(waits, 0.99)))
  const submit = figuresOf(rates(results.ours, 'submit'))
  const theirP99 = figuresOf(results.graphileLatency.map((waits) => (waits.length === 0 ? 0 : percentile(waits, 0.99))))
  return {
    suite: 'postgres',
    title: 'PostgreSQL',
    setup: [
      `${count} jobs a run in batches of ${BATCH} by ${LOOPS} loops, ${runs} counted runs, a new schema each; PostgreSQL as it comes, but for 512 MB of shared buffers`,
      'by hand: pg, one table with one index, the same batches and loops, history kept; no requests, limits, leases, lists or counts',
      library === null
        ? 'graphile-worker is not installed here; `npm install --prefix bench` does it'
        : 'graphile-worker 0.18: tuned with a local queue of 500 and completions in batches; it deletes finished jobs',
      boss === null
        ? 'pg-boss is not installed here; `npm install --prefix bench` does it'
        : 'pg-boss 12.35: 1,000 jobs a fetch and a completion, two loops, without its upkeep; it keeps finished jobs',
      `with keys: ${KEYS} concurrency keys with 10 places each, and a rate limit that is never reached`,
    ],
    bars: [
      {
        what: 'share of the ceiling by hand, end to end',
        wanted: '≥ 75%',
        measured: showPercent(endToEnd),
        met: endToEnd.median >= 0.75,
      },
      ...against('graphile-worker tuned, drained', rates(results.ours, 'drain'), results.graphileTuned, 1.2),
      ...against('pg-boss tuned, drained', rates(results.ours, 'drain'), results.bossTuned, 2),
      ...against(`graphile-worker, ${WORKERS} workers one job at a time`, singles, results.graphilePlain, 3),
      {
        what: `disk syncs per job, ${WORKERS} workers one at a time`,
        wanted: '< 0.02',
        measured: shown(syncs, 3),
        met: syncs.median < 0.02,
      },
      { what: 'bulk submit', wanted: '≥ 150k jobs/s', measured: showRate(submit, 'jobs/s'), met: submit.median >= 150_000 },
      {
        what: 'with keys and a rate limit, share of the figure without',
        wanted: '≥ 70%',
        measured: showPercent(keyed),
        met: keyed.median >= 0.7,
      },
      ...slower('from submitted to claimed, median, times graphile-worker', p50, results.graphileLatency, 1.2),
      { what: 'from submitted to claimed, 99th percentile', wanted: '< 1.5 ms', measured: showMs(p99), met: p99.median < 1.5 },
    ],
    details: [
      [
        '| | submit | drain | end to end |',
        '|---|---|---|---|',
        ...(['hand', 'ours', 'keyed'] as const).map(
          (name) =>
            `| ${NAMES[name]} | ${(['submit', 'drain', 'endToEnd'] as const).map((what) => showRate(figuresOf(rates(results[name], what)), 'jobs/s')).join(' | ')} |`,
        ),
      ].join('\n'),
      ...(library === null ? [] : [`graphile-worker, from submitted to begun, 99th percentile: ${showMs(theirP99)}.`]),
      'Where the time goes is told in [ADR 8](../docs/adr/0008-postgresql-locks-and-batches.md#where-the-time-goes), and why claims and reports are synced, 2/24 syncs a job at least, in [ADR 14](../docs/adr/0014-claims-are-synced.md).',
    ],
  }
}

const NAMES = { hand: 'by hand', ours: 'Octoflow', keyed: 'Octoflow, with keys' } as const

const shown = ({ median, min, max }: Figures, digits: number): string =>
  `${median.toFixed(digits)} [${min.toFixed(digits)} … ${max.toFixed(digits)}]`

function against(whom: string, ours: readonly number[], theirs: readonly number[], wanted: number): Report['bars'] {
  if (theirs.some((rate) => rate === 0)) return []
  const times = ratios(ours, theirs)
  return [{ what: `times ${whom}`, wanted: `≥ ${wanted}`, measured: shown(times, 2), met: times.median >= wanted }]
}

/** A bar of times: the less the better. */
function slower(what: string, ours: readonly number[], theirs: readonly (readonly number[])[], wanted: number): Report['bars'] {
  if (theirs.some((waits) => waits.length === 0)) return []
  const times = ratios(
    ours,
    theirs.map((waits) => percentile(waits, 0.5)),
  )
  return [{ what, wanted: `≤ ${wanted}`, measured: shown(times, 2), met: times.median <= wanted }]
}

async function byHand(url: string, count: number): Promise<Rates> {
  await using hand = await PostgresByHand.open(url)
  return await phases(
    count,
    () => hand.submit(BATCH, PAYLOAD),
    () => hand.work(BATCH),
  )
}

let schemas = 0

async function withStorage<Result>(url: string, use: (storage: Storage) => Promise<Result>): Promise<Result> {
  const storage = openPostgres({ url: `${url}?schema=bench_${++schemas}`, onError: console.error })
  try {
    await storage.migrations.migrate({ now: clock.now() })
    return await use(storage)
  } finally {
    await storage.close()
  }
}

async function oneByOne(server: PostgresServer, count: number): Promise<OneByOne> {
  const before = await syncsOf(server)
  const rate = await withStorage(server.url, (storage) => rateOneByOne(storage, count))
  // Connections tell what they did when they end, at the latest.
  return { rate, syncsPerJob: ((await syncsOf(server)) - before) / count }
}

const syncsOf = async (server: PostgresServer): Promise<number> =>
  Number((await server.query('SELECT wal_sync FROM pg_stat_wal'))[0]![0])

/** From the answer to a submit until a waiting claimant has the job. */
async function latencies(storage: Storage, count: number): Promise<number[]> {
  const waits: number[] = []
  for (let job = 0; job < count; job++) {
    const claimed = new Promise<number>((resolve, reject) => {
      const unsubscribe = storage.onReady(() => {
        unsubscribe()
        claim(storage, 1).then(() => resolve(performance.now()), reject)
      })
    })
    await submit(storage, [newRequest()])
    const answered = performance.now()
    waits.push(Math.max(0, (await claimed) - answered))
  }
  return waits
}

async function byGraphile(
  library: NonNullable<ReturnType<typeof loadGraphileWorker>>,
  url: string,
  count: number,
  tuned: boolean,
) {
  await using graphile = await GraphileWorker.open(library, url, `graphile_${++schemas}`)
  for (let made = 0; made < count; made += BATCH) await graphile.submit(BATCH)
  return count / (await graphile.drain(count, { tuned, concurrency: WORKERS }))
}

async function graphileLatencies(library: NonNullable<ReturnType<typeof loadGraphileWorker>>, url: string, count: number) {
  await using graphile = await GraphileWorker.open(library, url, `graphile_${++schemas}`)
  return await graphile.latencies(count)
}

async function byPgBoss(library: NonNullable<Awaited<ReturnType<typeof loadPgBoss>>>, url: string, count: number) {
  await using boss = await PgBossQueue.open(library, url, `boss_${++schemas}`)
  for (let made = 0; made < count; made += BATCH) await boss.submit(BATCH)
  return await rateOf(count, async () => {
    const done = await boss.drain()
    if (done !== count) throw new Error(`pg-boss completed ${done} of ${count} jobs`)
  })
}
