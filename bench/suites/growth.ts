import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DAY, HOUR, MINUTE } from '../../packages/server/src/lib/time.ts'
import type { PageRequest } from '../../packages/server/src/storage/contract/page.ts'
import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'
import { openPostgres } from '../../packages/server/src/storage/drivers/postgres/index.ts'
import { openSqlite } from '../../packages/server/src/storage/drivers/sqlite/index.ts'
import { findPostgres, PostgresServer, query } from '../../packages/server/test/drivers/postgres-server.ts'
import { type LineChart, lineChart } from '../line-chart.ts'
import { claim, clock, endToEnd, newRequest, QUEUE, submit, work } from '../load/storage-load.ts'
import type { BenchOptions } from '../main.ts'
import { type Bar, type Report, showMs, showPercent, showRate } from '../report.ts'
import { type Figures, figuresOf, median, percentile, ratios } from '../runs.ts'

const SIZES = [0, 1_000_000, 10_000_000]
const CHART = new URL('../growth.svg', import.meta.url)

/** Opens empty databases of one kind. */
interface Product {
  readonly name: string
  open(): Promise<Storage>
  /** Has the upkeep done that the product does by itself from time to time, so that no run meets it by chance. */
  settle(): Promise<void>
}

interface Reading {
  readonly size: number
  /** Jobs per second, and beside each the same on an empty database. */
  readonly rates: readonly number[]
  readonly ratesWhenEmpty: readonly number[]
  /** What each of many claims of one job took. */
  readonly claims: readonly number[]
  /** What each look took, the median of its runs. */
  readonly looks: Readonly<Record<string, number>>
}

/** What finished jobs cost those that come after them: nothing, if all goes well. */
export async function growth({ runs, scale }: BenchOptions): Promise<Report> {
  const sizes = SIZES.map((size) => Math.round(size * scale))
  const measured = new Map<string, readonly Reading[]>()
  await using disposal = new AsyncDisposableStack()
  for (const product of await products(disposal)) {
    const readings: Reading[] = []
    const grown = await product.open()
    let finished = 0
    for (const size of sizes) {
      await endToEnd(grown, size - finished, { batch: 2_000 })
      await product.settle()
      finished = size
      readings.push(await read(product, grown, size, runs, scale))
      process.stdout.write('.')
    }
    await grown.close()
    measured.set(product.name, readings)
  }
  process.stdout.write('\n')
  if (scale === 1) writeFileSync(CHART, chart(measured))
  return report(measured, runs, sizes)
}

async function products(disposal: AsyncDisposableStack): Promise<Product[]> {
  const directory = mkdtempSync(join(tmpdir(), 'octoflow-bench-'))
  disposal.defer(() => rmSync(directory, { recursive: true }))
  let opened = 0
  const migrated = async (storage: Storage): Promise<Storage> => {
    await storage.migrations.migrate({ now: clock.now() })
    return storage
  }
  const sqlite: Product = {
    name: 'SQLite',
    open: () => migrated(openSqlite({ path: join(directory, `${++opened}.db`), onError: console.error })),
    settle: async () => {},
  }
  if (findPostgres() === null) return [sqlite]
  const server = disposal.use(await PostgresServer.start({ settings: ['shared_buffers=512MB', 'max_wal_size=4GB'] }))
  const postgres: Product = {
    name: 'PostgreSQL',
    open: () => migrated(openPostgres({ url: `${server.url}?schema=growth_${++opened}`, onError: console.error })),
    settle: async () => {
      await query(server.url, 'VACUUM (ANALYZE)', 'public')
    },
  }
  return [sqlite, postgres]
}

async function read(product: Product, grown: Storage, size: number, runs: number, scale: number): Promise<Reading> {
  const jobs = Math.max(1_000, 40_000 * scale)
  const rates: number[] = []
  const ratesWhenEmpty: number[] = []
  for (let run = 0; run <= runs; run++) {
    const empty = await product.open()
    const rateWhenEmpty = await endToEnd(empty, jobs)
    await empty.close()
    const rate = await endToEnd(grown, jobs)
    if (run === 0) continue // The first warms up.
    ratesWhenEmpty.push(rateWhenEmpty)
    rates.push(rate)
  }
  return { size, rates, ratesWhenEmpty, claims: await claims(grown, 200 * runs), looks: await looks(grown, 4 * runs) }
}

async function claims(storage: Storage, count: number): Promise<number[]> {
  const took: number[] = []
  for (let i = 0; i < count; i++) {
    await submit(storage, [newRequest()])
    const begun = performance.now()
    const { jobs } = await claim(storage, 1)
    took.push(performance.now() - begun)
    if (jobs.length !== 1) throw new Error('a job was not there to be claimed')
  }
  while ((await work(storage, 500)) > 0);
  return took
}

/** The lists and statistics that a console shows, where they begin and deep down. */
async function looks(storage: Storage, runs: number): Promise<Record<string, number>> {
  const now = clock.now()
  const newest: PageRequest = { limit: 50, order: 'desc', after: null }
  const total = (await storage.requests.list({ filter: {}, page: { ...newest, limit: 1 } })).items[0]?.id ?? 0
  const deep: PageRequest = { ...newest, after: Math.ceil(total / 2) + 1 }
  const completed = { states: ['completed'], queues: [QUEUE] } as const
  const all: Readonly<Record<string, () => Promise<unknown>>> = {
    'the newest jobs': () => storage.jobs.list({ filter: {}, page: newest }),
    'completed jobs of a queue': () => storage.jobs.list({ filter: completed, page: newest }),
    'the same, half-way down': () => storage.jobs.list({ filter: completed, page: deep }),
    'failed jobs, of which there are none': () => storage.jobs.list({ filter: { states: ['dead'] }, page: newest }),
    'jobs of the last hour': () => storage.jobs.list({ filter: { createdFrom: now - HOUR }, page: newest }),
    'requests, half-way down': () => storage.requests.list({ filter: {}, page: deep }),
    'queues with their counts': () => storage.queues.list({ page: { limit: 100, order: 'asc', after: null } }),
    'a day by the minute': () => storage.stats.series({ queues: null, from: now - DAY, to: now, step: MINUTE }),
    'totals of thirty days': () => storage.stats.totals({ queues: null, from: now - 30 * DAY, to: now }),
  }
  const result: Record<string, number> = {}
  for (const [name, look] of Object.entries(all)) {
    const took: number[] = []
    for (let run = 0; run <= runs; run++) {
      const begun = performance.now()
      await look()
      if (run > 0) took.push(performance.now() - begun)
    }
    result[name] = median(took)
  }
  return result
}

const share = ({ rates, ratesWhenEmpty }: Reading): Figures => ratios(rates, ratesWhenEmpty)

function report(measured: ReadonlyMap<string, readonly Reading[]>, runs: number, sizes: readonly number[]): Report {
  return {
    suite: 'growth',
    title: 'As the data grows',
    setup: [
      `${sizes.map(count).join(', ')} finished jobs in the database, made by the driver itself in batches of 2,000; PostgreSQL has vacuumed them`,
      `throughput: 40,000 jobs submitted, claimed and completed in batches of 500 by 2 loops, ${runs} counted runs, in turn with the same on an empty database`,
      `claims: one job is submitted and claimed, ${200 * runs} times; looks: medians of ${4 * runs} runs, by the driver`,
    ],
    bars: [...measured].flatMap(([name, readings]) => barsOf(name, readings.at(-1)!)),
    details: [...[...measured].map(([name, readings]) => `${name}:\n\n${table(readings)}`), '![As the data grows](growth.svg)'],
  }
}

function barsOf(name: string, last: Reading): Bar[] {
  const throughput = share(last)
  const [slowest, took] = Object.entries(last.looks).toSorted(([, a], [, b]) => b - a)[0]!
  return [
    {
      what: `${name}, ${count(last.size)} finished jobs: share of the throughput of an empty database`,
      wanted: '≥ 90%',
      measured: showPercent(throughput),
      met: throughput.median >= 0.9,
    },
    {
      what: `${name}, ${count(last.size)} finished jobs: the slowest list or statistic`,
      wanted: '< 200 ms',
      measured: `${took.toFixed(1)} ms, ${slowest}`,
      met: took < 200,
    },
  ]
}

function table(readings: readonly Reading[]): string {
  const row = (name: string, cell: (reading: Reading) => string): string => `| ${[name, ...readings.map(cell)].join(' | ')} |`
  return [
    row('finished jobs', ({ size }) => count(size)),
    `|${'---|'.repeat(readings.length + 1)}`,
    row('throughput', ({ rates }) => showRate(figuresOf(rates), 'jobs/s')),
    row('the same on an empty database', ({ ratesWhenEmpty }) => showRate(figuresOf(ratesWhenEmpty), 'jobs/s')),
    row('share', (reading) => showPercent(share(reading))),
    row('a claim, median', ({ claims }) => ms(percentile(claims, 0.5))),
    row('a claim, 99th percentile', ({ claims }) => ms(percentile(claims, 0.99))),
    ...Object.keys(readings[0]!.looks).map((name) => row(name, ({ looks }) => ms(looks[name]!))),
  ].join('\n')
}

const ms = (value: number): string => showMs({ median: value, min: value, max: value }).replace(/ \[.*/, '')
const count = (jobs: number): string => jobs.toLocaleString('en')

function chart(measured: ReadonlyMap<string, readonly Reading[]>): string {
  const labels = [...measured.values()][0]!.map(({ size }) => count(size))
  const lines = (value: (reading: Reading) => number): LineChart['lines'] =>
    [...measured].map(([name, readings]) => ({ name, values: readings.map(value) }))
  return lineChart({ title: 'finished jobs in the database', labels }, [
    { title: 'throughput, % of that of an empty database', lines: lines((reading) => 100 * share(reading).median) },
    { title: 'a claim, median, ms', lines: lines(({ claims }) => percentile(claims, 0.5)) },
    { title: 'the slowest list or statistic, ms', lines: lines(({ looks }) => Math.max(...Object.values(looks))) },
  ])
}
