import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LogEvents } from '../../packages/server/src/core/log-events/log-events.ts'
import { Outage } from '../../packages/server/src/core/maintenance/outage.ts'
import { loadEventTypes } from '../../packages/server/src/event-types/event-types.ts'
import { DAY } from '../../packages/server/src/lib/time.ts'
import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'
import { openPostgres } from '../../packages/server/src/storage/drivers/postgres/index.ts'
import { openSqlite } from '../../packages/server/src/storage/drivers/sqlite/index.ts'
import { findPostgres, PostgresServer } from '../../packages/server/test/drivers/postgres-server.ts'
import { PostgresLogEventsByHand, SqliteLogEventsByHand } from '../ceilings/log-events-by-hand.ts'
import { LogEventSource, type SentEvent } from '../load/log-event-source.ts'
import { clock } from '../load/storage-load.ts'
import { wrk } from '../load/wrk.ts'
import type { BenchOptions } from '../main.ts'
import { type Bar, type Report, showMs, showPercent, showRate } from '../report.ts'
import { alternate, type Figures, figuresOf, median, ratios } from '../runs.ts'
import { KEY, ServerProcess } from '../server-process.ts'

const BATCH = 1_000
const CONNECTIONS = 64
/** What the original took for its 50th batch on the machine that the bars were written on; it grows slower with each. */
const ORIGINAL_50TH_MS = 1_600

/** Log events beside bare inserts, and single ones beside a route that stores nothing. */
export async function logEvents({ runs, scale }: BenchOptions): Promise<Report> {
  const batches = Math.ceil(100 * scale)
  const seconds = Math.max(1, Math.round(6 * scale))
  const directory = mkdtempSync(join(tmpdir(), 'octoflow-bench-'))
  await using disposal = new AsyncDisposableStack()
  disposal.defer(() => rmSync(directory, { recursive: true }))
  const postgres = findPostgres() === null ? null : disposal.use(await PostgresServer.start({ settings: SETTINGS }))
  const ours = disposal.use(await ServerProcess.octoflow())
  const bare = disposal.use(
    await ServerProcess.start(process.execPath, [new URL('../ceilings/bare-log-events.ts', import.meta.url).pathname]),
  )
  let opened = 0
  let posted = 0
  const post = (url: string) =>
    wrk(`${url}/v1/events`, { seconds, connections: CONNECTIONS, key: KEY, script: 'event.lua', argument: ++posted })

  const results = await alternate(
    {
      sqliteByHand: async () => {
        using hand = new SqliteLogEventsByHand(join(directory, `${++opened}.db`))
        return await rateOf(batches, async ({ events }) => hand.append(events))
      },
      sqlite: () => rateOfStorage(openSqlite({ path: join(directory, `${++opened}.db`), onError: console.error }), batches),
      postgresByHand: async () => {
        if (postgres === null) return 0
        await using hand = await PostgresLogEventsByHand.open(postgres.url, `by_hand_${++opened}`)
        return await rateOf(batches, ({ events }) => hand.append(events))
      },
      postgres: async () => {
        if (postgres === null) return 0
        const url = `${postgres.url}?schema=events_${++opened}`
        return await rateOfStorage(openPostgres({ url, onError: console.error }), batches)
      },
      bare: () => post(bare.url),
      single: () => post(ours.url),
      batchesOverHttp: () => batchesOverHttp(),
    },
    runs,
  )
  const sqlite = ratios(results.sqlite, results.sqliteByHand)
  const onPostgres = postgres === null ? null : ratios(results.postgres, results.postgresByHand)
  const rates = (of: readonly { readonly requestsPerSecond: number }[]): number[] => of.map((run) => run.requestsPerSecond)
  const single = ratios(rates(results.single), rates(results.bare))
  const errors = results.single.reduce((sum, run) => sum + run.errors, 0)
  const fiftieth = figuresOf(results.batchesOverHttp)
  const share = (name: string, figures: Figures): Bar => ({
    what: `batches of ${BATCH} on ${name}, share of a bare insert`,
    wanted: '≥ 60%',
    measured: showPercent(figures),
    met: figures.median >= 0.6,
  })
  const row = (name: string, byHand: readonly number[], us: readonly number[]): string =>
    `| ${name} | ${showRate(figuresOf(byHand), 'events/s')} | ${showRate(figuresOf(us), 'events/s')} |`
  return {
    suite: 'events',
    title: 'Log events',
    setup: [
      `${batches} batches of ${BATCH} a run, half of the events users’, half systems’; ${runs} counted runs, a new database each`,
      'by hand: the same columns and indexes and a transaction for each batch, prepared inserts on node:sqlite, `unnest` on PostgreSQL; nothing is checked, counted or answered',
      `single events: wrk, 1 thread, ${CONNECTIONS} connections, ${seconds} s a run; the bare route checks key and events and stores nothing`,
      `over HTTP: 50 batches one after the other into an empty database; the original took ${ORIGINAL_50TH_MS} ms for the 50th`,
    ],
    bars: [
      share('SQLite', sqlite),
      ...(onPostgres === null ? [] : [share('PostgreSQL', onPostgres)]),
      {
        what: `single events from ${CONNECTIONS} callers, share of the bare route`,
        wanted: '≥ 75%',
        measured: showPercent(single),
        met: single.median >= 0.75,
      },
      { what: 'errors', wanted: '0', measured: String(errors), met: errors === 0 },
      {
        what: 'the 50th batch over HTTP, a hundredth of the original’s time',
        wanted: `≤ ${ORIGINAL_50TH_MS / 100} ms`,
        measured: showMs(fiftieth),
        met: fiftieth.median <= ORIGINAL_50TH_MS / 100,
      },
    ],
    details: [
      [
        '| | by hand | Octoflow |',
        '|---|---|---|',
        row('SQLite', results.sqliteByHand, results.sqlite),
        ...(postgres === null ? [] : [row('PostgreSQL', results.postgresByHand, results.postgres)]),
        row('single events over HTTP', rates(results.bare), rates(results.single)),
      ].join('\n'),
      'Where the time goes is told in [ADR 12](../docs/adr/0012-log-events-in-two-orders.md#where-the-time-of-stored-events-goes).',
    ],
  }
}

const SETTINGS = ['shared_buffers=512MB', 'max_wal_size=4GB']
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

export const logEventsOf = (storage: Storage): LogEvents =>
  new LogEvents({ storage, clock, logger: SILENT, outage: new Outage(clock, SILENT), random: Math.random }, loadEventTypes(''))

async function rateOfStorage(storage: Storage, batches: number): Promise<number> {
  try {
    await storage.migrations.migrate({ now: clock.now() })
    const events = logEventsOf(storage)
    return await rateOf(batches, async ({ text }) => {
      const faults = await events.append(JSON.parse(text) as unknown[], text)
      if (faults.some((fault) => fault !== null)) throw new Error(`an event was refused: ${faults.find(Boolean)}`)
    })
  } finally {
    await storage.close()
  }
}

/** @returns events per second. */
async function rateOf(
  batches: number,
  append: (batch: { readonly events: readonly SentEvent[]; readonly text: string }) => Promise<void>,
): Promise<number> {
  const source = new LogEventSource(clock.now() - 2 * DAY)
  const made = Array.from({ length: batches }, () => {
    const events = source.batch(BATCH)
    return { events, text: JSON.stringify(events) }
  })
  const begun = performance.now()
  for (const batch of made) await append(batch)
  return ((batches * BATCH) / (performance.now() - begun)) * 1_000
}

/** @returns what the last ten of fifty batches took, the median, in milliseconds. */
async function batchesOverHttp(): Promise<number> {
  await using server = await ServerProcess.octoflow()
  const source = new LogEventSource(clock.now() - 2 * DAY)
  const took: number[] = []
  for (let batch = 0; batch < 50; batch++) {
    const body = JSON.stringify(source.batch(BATCH))
    const begun = performance.now()
    const answer = await fetch(`${server.url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body,
    })
    await answer.text()
    took.push(performance.now() - begun)
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`)
  }
  return median(took.slice(-10))
}
