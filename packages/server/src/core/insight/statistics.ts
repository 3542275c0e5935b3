import { DAY, type Duration, HOUR, type Instant, MINUTE } from '../../lib/time.ts'
import { inScope, type QueueScope } from '../../model/access.ts'
import type { StatsPoint, StatsSums } from '../../storage/contract/stats.ts'
import type { Ports } from '../ports.ts'

/** What happened over a span of time, in steps and in sum. */
export interface Statistics {
  readonly from: Instant
  readonly to: Instant
  readonly step: Duration
  /** One for each step, also those in which nothing happened. */
  readonly points: readonly StatsPoint[]
  readonly queues: ReadonlyMap<string, StatsSums>
  readonly total: StatsSums
}

export const NOTHING: StatsSums = {
  submitted: 0,
  started: 0,
  completed: 0,
  failed: 0,
  dead: 0,
  cancelled: 0,
  expired: 0,
  waited: 0,
  ran: 0,
  finished: 0,
}

/** A chart has no use for more points. */
const MOST_POINTS = 1_500

/** A longer window is told in whole hours: they are some thousand for each queue, where minutes would be half a million. */
const LONGEST_BY_MINUTES: Duration = 7 * DAY

/** Reads the roll-ups. */
export class Reports {
  readonly #ports: Ports

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /** @param step a multiple of a minute; made longer where it would give too many points or take too many minutes to sum. */
  async statistics(window: Duration, step: Duration, queues: readonly string[] | null, scope: QueueScope): Promise<Statistics> {
    const unit = window > LONGEST_BY_MINUTES ? HOUR : MINUTE
    const wide = Math.ceil(Math.max(step, window / MOST_POINTS) / unit) * unit
    const now = this.#ports.clock.now()
    const to = Math.floor(now / wide) * wide + wide
    const from = to - Math.ceil(window / wide) * wide
    const seen = scope === null ? queues : (queues ?? scope).filter((queue) => inScope(scope, queue))
    const [series, totals] = await Promise.all([
      this.#ports.storage.stats.series({ queues: seen, from, to, step: wide }),
      this.#ports.storage.stats.totals({ queues: seen, from, to }),
    ])
    return {
      from,
      to,
      step: wide,
      points: filled(series, from, to, wide),
      queues: totals,
      total: [...totals.values()].reduce(add, NOTHING),
    }
  }
}

function filled(series: readonly StatsPoint[], from: Instant, to: Instant, step: Duration): StatsPoint[] {
  const known = new Map(series.map((point) => [point.at, point]))
  return Array.from({ length: Math.round((to - from) / step) }, (_, index) => {
    const at = from + index * step
    return known.get(at) ?? { at, ...NOTHING }
  })
}

function add(a: StatsSums, b: StatsSums): StatsSums {
  const fields = Object.keys(NOTHING) as (keyof StatsSums)[]
  return Object.fromEntries(fields.map((field) => [field, a[field] + b[field]])) as unknown as StatsSums
}
