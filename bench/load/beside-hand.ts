import type { Storage } from '../../packages/server/src/storage/contract/storage.ts'
import { type Report, showPercent, showRate } from '../report.ts'
import { alternate, figuresOf, ratios } from '../runs.ts'
import { BATCH, clock, KEYS, LOOPS, PAYLOAD, phases, type Rates, rateOneByOne, ratesOf, WORKERS } from './storage-load.ts'

/** The same queue by hand: what a driver is measured beside. */
export interface ByHand extends AsyncDisposable {
  submit(count: number, payload: string): Promise<void>
  /** @returns how many jobs were claimed and completed. */
  work(batch: number): Promise<number>
}

/** A driver whose bar is a share of what goes by hand on the same server. */
export interface Contest {
  /** Jobs of a run, and of one by workers that have one at a time. */
  readonly count: number
  readonly few: number
  readonly runs: number
  /** Gives a run a database of its own. */
  withDatabase<Result>(use: (url: string) => Promise<Result>): Promise<Result>
  open(url: string): Storage
  openByHand(url: string): Promise<ByHand>
}

/** @returns what the report says of it beside its title and of the server. */
export async function besideHand({
  count,
  few,
  runs,
  ...contest
}: Contest): Promise<Pick<Report, 'setup' | 'bars' | 'details'>> {
  const byHand = (): Promise<Rates> =>
    contest.withDatabase(async (url) => {
      await using hand = await contest.openByHand(url)
      return await phases(
        count,
        () => hand.submit(BATCH, PAYLOAD),
        () => hand.work(BATCH),
      )
    })
  const ours = <Result>(use: (storage: Storage) => Promise<Result>): Promise<Result> =>
    contest.withDatabase(async (url) => {
      const storage = contest.open(url)
      try {
        await storage.migrations.migrate({ now: clock.now() })
        return await use(storage)
      } finally {
        await storage.close()
      }
    })
  const results = await alternate(
    {
      hand: byHand,
      ours: () => ours((storage) => ratesOf(storage, count, null)),
      keyed: () => ours((storage) => ratesOf(storage, count, KEYS)),
      oneByOne: () => ours((storage) => rateOneByOne(storage, few)),
    },
    runs,
  )
  const rates = (of: readonly Rates[], what: keyof Rates): number[] => of.map((run) => run[what])
  const endToEnd = ratios(rates(results.ours, 'endToEnd'), rates(results.hand, 'endToEnd'))
  const row = (name: string, of: readonly Rates[]): string =>
    `| ${name} | ${(['submit', 'drain', 'endToEnd'] as const).map((what) => showRate(figuresOf(rates(of, what)), 'jobs/s')).join(' | ')} |`
  return {
    setup: [
      `${count} jobs a run in batches of ${BATCH} by ${LOOPS} loops, ${runs} counted runs, a new database each`,
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
