import { SystemClock } from '../../packages/server/src/lib/clock.ts'
import { SECOND } from '../../packages/server/src/lib/time.ts'
import type { QueueSettings } from '../../packages/server/src/model/queue.ts'
import type { NewRequest } from '../../packages/server/src/storage/contract/requests.ts'
import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'
import { openMysql } from '../../packages/server/src/storage/drivers/mysql/index.ts'
import { MysqlServer } from '../../packages/server/test/drivers/mysql-server.ts'
import { MysqlByHand } from '../ceilings/mysql-by-hand.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showPercent, showRate } from '../report.ts'
import { alternate, figuresOf, ratios } from '../runs.ts'

const BATCH = 500
const LOOPS = 2
const WORKERS = 24
const KEYS = 100
const PAYLOAD = '{"n":1}'
const QUEUE = 'bench'

const clock = new SystemClock()

/** Jobs per second. */
interface Rates {
  readonly submit: number
  readonly drain: number
  readonly endToEnd: number
}

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
      oneByOne: () => withStorage(server, (storage) => oneByOne(storage, few)),
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

const inLoops = async (loops: number, run: () => Promise<void>): Promise<void> => {
  await Promise.all(Array.from({ length: loops }, run))
}

async function rateOf(count: number, run: () => Promise<void>): Promise<number> {
  const begun = performance.now()
  await run()
  return (count / (performance.now() - begun)) * 1_000
}

/** Three phases: all in, all out, and both in turn. */
async function phases(count: number, submit: () => Promise<void>, work: () => Promise<number>): Promise<Rates> {
  const times = (act: () => Promise<unknown>) => {
    let left = count / BATCH
    return rateOf(count, () =>
      inLoops(LOOPS, async () => {
        while (left-- > 0) await act()
      }),
    )
  }
  const drain = () =>
    rateOf(count, () =>
      inLoops(LOOPS, async () => {
        while ((await work()) > 0);
      }),
    )
  return { submit: await times(submit), drain: await drain(), endToEnd: await times(() => submit().then(work)) }
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

async function ratesOf(storage: Storage, count: number, keys: number | null): Promise<Rates> {
  const limits: Partial<QueueSettings> = { keyConcurrency: 10, rateLimit: { limit: 1e9, period: 60 * SECOND } }
  if (keys !== null) await storage.queues.configure({ now: clock.now(), name: QUEUE, change: limits, ifVersion: null })
  let made = 0
  const request = (): NewRequest => newRequest(keys === null ? null : `key-${made++ % keys}`)
  return phases(
    count,
    () => submit(storage, Array.from({ length: BATCH }, request)),
    () => work(storage, BATCH),
  )
}

async function oneByOne(storage: Storage, count: number): Promise<number> {
  for (let made = 0; made < count; made += BATCH)
    await submit(
      storage,
      Array.from({ length: BATCH }, () => newRequest(null)),
    )
  return rateOf(count, () =>
    inLoops(WORKERS, async () => {
      while ((await work(storage, 1)) > 0);
    }),
  )
}

const newRequest = (concurrencyKey: string | null): NewRequest => ({
  source: 'api',
  sourceIp: null,
  userAgent: null,
  method: 'POST',
  url: '/api/v1/jobs',
  headers: null,
  contentType: 'application/json',
  body: PAYLOAD,
  queue: QUEUE,
  idempotency: null,
  job: {
    priority: 5,
    runAt: null,
    maxAttempts: null,
    backoff: null,
    uniqueKey: null,
    concurrencyKey,
    timeout: null,
    labels: null,
  },
})

async function submit({ requests }: Storage, items: readonly NewRequest[]): Promise<void> {
  await requests.submit({ now: clock.now(), items })
}

async function work(storage: Storage, limit: number): Promise<number> {
  const { jobs } = await storage.leases.claim({ now: clock.now(), queue: QUEUE, worker: 'bench', limit, lease: 30 * SECOND })
  if (jobs.length === 0) return 0
  const outcome = { kind: 'completed', result: null, handled: true } as const
  const reports = jobs.map(({ id, fence }) => ({ id, fence, outcome, finishedAt: null, events: [] }))
  await storage.leases.report({ now: clock.now(), reports })
  return jobs.length
}
