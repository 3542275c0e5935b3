import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'
import { openMysql } from '../../packages/server/src/storage/drivers/mysql/index.ts'
import { MysqlServer } from '../../packages/server/test/drivers/mysql-server.ts'
import { MysqlByHand } from '../ceilings/mysql-by-hand.ts'
import { BATCH, clock, KEYS, LOOPS, PAYLOAD, phases, type Rates, rateOneByOne, ratesOf, WORKERS } from '../load/storage-load.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showPercent, showRate } from '../report.ts'
import { alternate, figuresOf, ratios } from '../runs.ts'

/** The MySQL driver on MariaDB, beside the same queue by hand. */
export async function mysql({ runs, scale }: BenchOptions): Promise<Report> {
  const count = Math.ceil((60_000 * scale) / BATCH) * BATCH
  const few = Math.ceil((10_000 * scale) / BATCH) * BATCH
  await using server = await MysqlServer.start({
    onDisk: true,
    settings: ['--innodb-buffer-pool-size=512M', '--innodb-log-file-size=1G'],
  })
  const results = await alternate(
    {
      hand: () => byHand(server, count),
      ours: () => withStorage(server, (storage) => ratesOf(storage, count, null)),
      keyed: () => withStorage(server, (storage) => ratesOf(storage, count, KEYS)),
      oneByOne: () => withStorage(server, (storage) => rateOneByOne(storage, few)),
    },
    runs,
  )
  const rates = (of: readonly Rates[], what: keyof Rates): number[] => of.map((run) => run[what])
  const endToEnd = ratios(rates(results.ours, 'endToEnd'), rates(results.hand, 'endToEnd'))
  const row = (name: string, of: readonly Rates[]): string =>
    `| ${name} | ${(['submit', 'drain', 'endToEnd'] as const).map((what) => showRate(figuresOf(rates(of, what)), 'jobs/s')).join(' | ')} |`
  return {
    suite: 'mysql',
    title: 'MariaDB',
    setup: [
      `${count} jobs a run in batches of ${BATCH} by ${LOOPS} loops, ${runs} counted runs, a new database each; MariaDB as it comes, but for 512 MB of buffer pool and 1 GB of log`,
      'by hand: mysql2, one table with one index, the same batches and loops, history kept; no requests, limits, leases, lists or counts',
      `with keys: ${KEYS} concurrency keys with 10 places each, and a rate limit that is never reached`,
    ],
    bars: [
      {
        what: 'share of the ceiling by hand, end to end',
        wanted: '≥ 60%',
        measured: showPercent(endToEnd),
        met: endToEnd.median >= 0.6,
      },
    ],
    details: [
      [
        '| | submit | drain | end to end |',
        '|---|---|---|---|',
        row('by hand', results.hand),
        row('Octoflow', results.ours),
        row('Octoflow, with keys', results.keyed),
      ].join('\n'),
      `${WORKERS} workers, each claiming and completing one job at a time: ${showRate(figuresOf(results.oneByOne), 'jobs/s')}.`,
    ],
  }
}

let databases = 0

/** A database for one run, gone afterwards. */
async function withDatabase<Result>(server: MysqlServer, use: (url: string) => Promise<Result>): Promise<Result> {
  const name = `bench_${++databases}`
  await server.query(`CREATE DATABASE ${name}`)
  try {
    return await use(server.url(name))
  } finally {
    await server.query(`DROP DATABASE ${name}`)
  }
}

const byHand = (server: MysqlServer, count: number): Promise<Rates> =>
  withDatabase(server, async (url) => {
    await using hand = await MysqlByHand.open(url)
    return await phases(
      count,
      () => hand.submit(BATCH, PAYLOAD),
      () => hand.work(BATCH),
    )
  })

const withStorage = <Result>(server: MysqlServer, use: (storage: Storage) => Promise<Result>): Promise<Result> =>
  withDatabase(server, async (url) => {
    const storage = openMysql({ url, onError: console.error })
    try {
      await storage.migrations.migrate({ now: clock.now() })
      return await use(storage)
    } finally {
      await storage.close()
    }
  })
