import type { Instant } from '../../../lib/time.ts'
import { LOWEST_PRIORITY } from '../../../model/job.ts'
import type { JobFilter } from '../../../model/job-filter.ts'
import {
  type Candidate,
  firstIdAt as findFirstIdAt,
  type Ids,
  type Order,
  RANGES_AT_MOST,
  type Source,
} from '../../sql/listing.ts'
import { Stage, stagesOf } from '../../sql/stages.ts'
import type { Queryable } from './connection.ts'
import { array, textArray } from './values.ts'

/** The lowest id that was received at `at` or later. */
export const firstIdAt = (from: Queryable, at: Instant): Promise<number> => findFirstIdAt(idsOf(from), at)

export const idsOf = (from: Queryable): Ids => ({
  newest: async () => (await from.rows<[number | null]>('SELECT max(id) FROM octoflow_requests'))[0]![0] ?? 0,
  firstFrom: async (id) => (await from.rows<[number, Instant]>(SELECT_RECEIVED, id))[0] ?? null,
  sourceOf: (filter, order) => sourceOf(from, filter, order),
})

const SELECT_RECEIVED = 'SELECT id, received_at FROM octoflow_requests WHERE id >= $1 ORDER BY id LIMIT 1'

async function sourceOf(from: Queryable, filter: JobFilter, order: Order): Promise<Source> {
  const { label } = filter
  if (label !== undefined) return (after, limit) => from.rows<Candidate>(SELECT_LABELLED[order], after, limit, label)
  const all: Source = (after, limit) => from.rows<Candidate>(SELECT_ALL[order], after, limit)
  if (filter.queues === undefined && filter.states === undefined) return all
  const stages = filter.states === undefined ? Object.values(Stage) : [...new Set(filter.states)].flatMap(stagesOf)
  const queues = await queueIds(from, filter.queues)
  const priorities = Array.from({ length: LOWEST_PRIORITY + 1 }, (_, priority) => priority)
  const pending = cross(
    queues,
    stages.filter((stage) => stage < Stage.running),
    priorities,
  )
  const finished = cross(
    queues,
    stages.filter((stage) => stage > Stage.running),
    [0],
  )
  if (pending.length + finished.length > RANGES_AT_MOST) return all
  const running = stages.includes(Stage.running) ? queues : []
  const ranges = [
    ...[0, 1, 2].map((at) => array(pending.map((range) => range[at]!))),
    ...[0, 1].map((at) => array(finished.map((range) => range[at]!))),
    array(running),
  ]
  return (after, limit) => from.rows<Candidate>(SELECT_RANGES[order], after, limit, ...ranges)
}

const cross = (queues: readonly number[], stages: readonly Stage[], priorities: readonly number[]): (readonly number[])[] =>
  queues.flatMap((queue) => stages.flatMap((stage) => priorities.map((priority) => [queue, stage, priority])))

async function queueIds(from: Queryable, names: readonly string[] | undefined): Promise<number[]> {
  const rows =
    names === undefined
      ? await from.rows<[number]>('SELECT id FROM octoflow_queues')
      : await from.rows<[number]>('SELECT id FROM octoflow_queues WHERE name = ANY ($1::text[])', textArray(names))
  return rows.map(([id]) => id)
}

// $1 after, $2 limit.
const either = (sql: (beyond: '>' | '<', order: Order) => string): Readonly<Record<Order, string>> => ({
  asc: sql('>', 'asc'),
  desc: sql('<', 'desc'),
})

const SELECT_ALL = either(
  (beyond, order) => `SELECT id, size FROM octoflow_requests WHERE id ${beyond} $1 ORDER BY id ${order} LIMIT $2`,
)

const SELECT_LABELLED = either(
  (beyond, order) => `SELECT l.job_id, r.size FROM octoflow_job_labels l JOIN octoflow_requests r ON r.id = l.job_id
    WHERE l.label = $3 AND l.job_id ${beyond} $1 ORDER BY l.job_id ${order} LIMIT $2`,
)

// Each range is read in the order of its index, no further than needed. Running jobs are as many as the workers have hands.
// The literals `stage < 3` and `stage > 3` tell which partial index serves. The last column before the id is held within bounds
// and not said to be equal: the order of ids alone would do then, and where nearly all rows seem to fit, PostgreSQL would go
// through the whole table in the order of its primary key.
const SELECT_RANGES = either((beyond, order) => {
  const within = order === 'asc' ? '<=' : '>='
  const range = (equal: string, last: string): string => `LATERAL (
    SELECT id, size FROM octoflow_requests WHERE ${equal} AND ${last} ${within} range.${last} AND (${last}, id) ${beyond} (range.${last}, $1)
    ORDER BY ${last} ${order}, id ${order} LIMIT $2) AS job`
  return `SELECT id, size FROM (
      SELECT job.* FROM unnest($3::integer[], $4::smallint[], $5::smallint[]) AS range (queue, stage, priority),
        ${range('stage < 3 AND queue_id = range.queue AND stage = range.stage', 'priority')}
      UNION ALL
      SELECT job.* FROM unnest($6::integer[], $7::smallint[]) AS range (queue, stage),
        ${range('stage > 3 AND queue_id = range.queue', 'stage')}
      UNION ALL
      SELECT id, size FROM octoflow_requests WHERE stage = 3 AND queue_id = ANY ($8::integer[]) AND id ${beyond} $1
    ) AS found ORDER BY id ${order} LIMIT $2`
})
