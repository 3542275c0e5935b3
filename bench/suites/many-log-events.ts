import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogEvents } from '../../packages/server/src/core/log-events/log-events.ts'
import { DAY, HOUR } from '../../packages/server/src/lib/time.ts'
import type { LogEventFilter } from '../../packages/server/src/model/log-event.ts'
import type { LogEventPlace } from '../../packages/server/src/storage/contract/log-events.ts'
import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'
import { openPostgres } from '../../packages/server/src/storage/drivers/postgres/index.ts'
import { openSqlite } from '../../packages/server/src/storage/drivers/sqlite/index.ts'
import { findPostgres, PostgresServer } from '../../packages/server/test/drivers/postgres-server.ts'
import { idOf, LogEventSource } from '../load/log-event-source.ts'
import { clock } from '../load/storage-load.ts'
import type { BenchOptions } from '../main.ts'
import { type Bar, type Report, showPercent, showRate } from '../report.ts'
import { type Figures, figuresOf, median, ratios } from '../runs.ts'
import { logEventsOf } from './log-events.ts'

const BATCH = 1_000
const EVENTS = 10_000_000
const PAGE = 100

interface Reading {
  /** Events per second over the whole of it. */
  readonly overall: number
  /** Events per second in short runs, into the large table and into an empty one, in turn. */
  readonly rates: readonly number[]
  readonly ratesWhenEmpty: readonly number[]
  /** Milliseconds, the median. */
  readonly looks: Readonly<Record<string, number>>
}

/** Ten million log events: how fast they go in, and what a page costs wherever it lies. */
export async function manyLogEvents({ runs, scale }: BenchOptions): Promise<Report> {
  const count = Math.ceil((EVENTS * scale) / BATCH) * BATCH
  const directory = mkdtempSync(join(tmpdir(), 'octoflow-bench-'))
  await using disposal = new AsyncDisposableStack()
  disposal.defer(() => rmSync(directory, { recursive: true }))
  const readings: Record<string, Reading> = {}
  let opened = 0
  readings.SQLite = await read(
    () => openSqlite({ path: join(directory, `${++opened}.db`), onError: console.error }),
    count,
    runs,
  )
  if (findPostgres() !== null) {
    const server = disposal.use(await PostgresServer.start({ settings: ['shared_buffers=512MB', 'max_wal_size=4GB'] }))
    readings.PostgreSQL = await read(
      () => openPostgres({ url: `${server.url}?schema=events_${++opened}`, onError: console.error }),
      count,
      runs,
    )
  }
  process.stdout.write('\n')
  return report(readings, count, runs)
}

async function read(open: () => Storage, count: number, runs: number): Promise<Reading> {
  const storage = await migrated(open())
  try {
    const events = logEventsOf(storage)
    const source = new LogEventSource(clock.now() - 2 * DAY)
    const overall = await append(events, source, count)
    process.stdout.write('.')
    const rates: number[] = []
    const ratesWhenEmpty: number[] = []
    for (let run = 0; run < runs; run++) {
      const empty = await migrated(open())
      ratesWhenEmpty.push(await append(logEventsOf(empty), new LogEventSource(clock.now() - 2 * DAY), 50 * BATCH))
      await empty.close()
      rates.push(await append(events, source, 50 * BATCH))
      process.stdout.write('.')
    }
    return { overall, rates, ratesWhenEmpty, looks: await looks(events, source.made, 4 * runs) }
  } finally {
    await storage.close()
  }
}

async function migrated(storage: Storage): Promise<Storage> {
  await storage.migrations.migrate({ now: clock.now() })
  return storage
}

/** @returns events per second, the making of them not counted. */
async function append(events: LogEvents, source: LogEventSource, count: number): Promise<number> {
  let took = 0
  for (let made = 0; made < count; made += BATCH) {
    const text = JSON.stringify(source.batch(BATCH))
    const begun = performance.now()
    await events.append(JSON.parse(text) as unknown[], text)
    took += performance.now() - begun
  }
  return (count / took) * 1_000
}

/** What the routes do for a page: the events and how many there are. */
async function looks(events: LogEvents, count: number, runs: number): Promise<Record<string, number>> {
  const page = (filter: LogEventFilter, after: LogEventPlace | number = 0, order: 'asc' | 'desc' = 'asc') =>
    Promise.all([events.list(filter, { order, after, limit: PAGE }), events.count(filter)])
  const middle: LogEventPlace = { at: clock.now() - 2 * DAY + (count / 2) * 8_000, sequence: count / 2 }
  const now = clock.now()
  const all: Readonly<Record<string, () => Promise<unknown>>> = {
    'the first page': () => page({}),
    'the newest': () => page({}, 0, 'desc'),
    'half-way down by cursor': () => page({}, middle),
    'half-way down by number': () => page({}, count / 2),
    'the last page by number': () => page({}, count - PAGE),
    'of one type, half-way down by number': () => page({ type: 'user' }, count / 4),
    'of an hour': () => page({ since: now - 2 * DAY + HOUR, until: now - 2 * DAY + 2 * HOUR }),
    'of a user with many': () => page({ fields: { username: 'user_0' } }),
    'of a user with few': () => page({ fields: { username: 'user_9000' } }),
    'of nobody': () => page({ fields: { username: 'nobody' } }),
    'by operation, half-way down': () => page({ fields: { operation: 'read' } }, middle),
    'by location and operation': () => page({ fields: { location: 'europe', operation: 'write' } }),
    'by what excludes each other': () => page({ fields: { username: 'user_0', location: 'europe' } }),
    'one event by its id': () => events.find(idOf(Math.floor(Math.random() * count))),
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

function report(readings: Readonly<Record<string, Reading>>, count: number, runs: number): Report {
  const names = Object.keys(readings)
  const row = (what: string, cell: (reading: Reading) => string): string =>
    `| ${[what, ...names.map((name) => cell(readings[name]!))].join(' | ')} |`
  return {
    suite: 'many_events',
    title: 'Ten million log events',
    setup: [
      `${count.toLocaleString('en')} events in batches of ${BATCH}, each checked, 8 ms apart; 10,000 users of whom a hundredth make half of the events, 200 systems`,
      `afterwards ${runs} times 50 batches into the large table and an empty one, in turn; pages of ${PAGE} with their total, in process, medians of ${4 * runs}`,
    ],
    bars: Object.entries(readings).flatMap(([name, reading]) => barsOf(name, reading)),
    details: [
      [
        `| | ${names.join(' | ')} |`,
        `|${'---|'.repeat(names.length + 1)}`,
        row('all of them', ({ overall }) => showRate(figuresOf([overall]), 'events/s').replace(/ \[.*/, '')),
        row('at the end', ({ rates }) => showRate(figuresOf(rates), 'events/s')),
        row('into an empty table', ({ ratesWhenEmpty }) => showRate(figuresOf(ratesWhenEmpty), 'events/s')),
        ...Object.keys(readings[names[0]!]!.looks).map((what) => row(what, ({ looks }) => `${looks[what]!.toFixed(2)} ms`)),
      ].join('\n'),
    ],
  }
}

function barsOf(name: string, reading: Reading): Bar[] {
  const speed = share(reading)
  const [slowest, took] = Object.entries(reading.looks).toSorted(([, a], [, b]) => b - a)[0]!
  return [
    {
      what: `${name}: insert rate beside that of an empty table`,
      wanted: 'the same (≥ 90%)',
      measured: showPercent(speed),
      met: speed.median >= 0.9,
    },
    { what: `${name}: the slowest page`, wanted: '< 50 ms', measured: `${took.toFixed(1)} ms, ${slowest}`, met: took < 50 },
  ]
}
