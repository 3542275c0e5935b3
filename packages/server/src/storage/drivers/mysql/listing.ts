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
import { COUNT_COLUMNS } from '../../sql/queue-change.ts'
import { Stage, stagesOf } from '../../sql/stages.ts'
import type { Queryable } from './connection.ts'
import { format } from './values.ts'

/** The lowest id that was received at `at` or later. */
export const firstIdAt = (from: Queryable, at: Instant): Promise<number> => findFirstIdAt(idsOf(from), at)

export const idsOf = (from: Queryable): Ids => ({
  newest: async () => (await from.rows<[number | null]>('SELECT max(id) FROM octoflow_requests'))[0]![0] ?? 0,
  firstFrom: async (id) => (await from.rows<[number, Instant]>(SELECT_RECEIVED, id))[0] ?? null,
  sourceOf: (filter, order) => sourceOf(from, filter, order),
})

const SELECT_RECEIVED = 'SELECT id, received_at FROM octoflow_requests WHERE id >= ? ORDER BY id LIMIT 1'

async function sourceOf(from: Queryable, filter: JobFilter, order: Order): Promise<Source> {
  const { label } = filter
  const beyond = order === 'asc' ? '>' : '<'
  if (label !== undefined) {
    const sql = `SELECT l.job_id, r.size FROM octoflow_job_labels l JOIN octoflow_requests r ON r.id = l.job_id
      WHERE l.label = ? AND l.job_id ${beyond} ? ORDER BY l.job_id ${order} LIMIT ?`
    return (after, limit) => from.rows<Candidate>(sql, label, after, limit)
  }
  const ranges = await rangesOf(from, filter)
  if (ranges === 'all') {
    const sql = `SELECT id, size FROM octoflow_requests WHERE id ${beyond} ? ORDER BY id ${order} LIMIT ?`
    return (after, limit) => from.rows<Candidate>(sql, after, limit)
  }
  const parts = ranges.map(({ queueId, stage, place }) =>
    place === null ? format(SELECT_STAGE, [queueId, stage]) : format(SELECT_RANGE, [queueId, stage, place]),
  )
  // Each range is read in the order of its index, no further than needed.
  return (after, limit) => {
    if (parts.length === 0) return Promise.resolve([])
    const rest = format(`AND id ${beyond} ? ORDER BY id ${order} LIMIT ?`, [after, limit])
    return from.rows<Candidate>(
      `${parts.map((part) => `(${part} ${rest})`).join(' UNION ALL ')} ORDER BY id ${order} LIMIT ?`,
      limit,
    )
  }
}

/** A part of the index that is in order of id; without a place, all running jobs, as many as the workers have hands. */
interface Range {
  readonly queueId: number
  readonly stage: Stage
  readonly place: number | null
}

/** The ranges in which the jobs that a filter names stand; `all` where they are not worth merging. */
async function rangesOf(from: Queryable, { queues, states }: JobFilter): Promise<readonly Range[] | 'all'> {
  if (queues === undefined && states === undefined) return 'all'
  const wanted = states === undefined ? Object.values(Stage) : [...new Set(states)].flatMap(stagesOf)
  const counted =
    queues === undefined
      ? await from.rows<[number, ...number[]]>(SELECT_COUNTS)
      : await from.rows<[number, ...number[]]>(SELECT_COUNTS_OF, queues)
  const ranges = counted.flatMap(([queueId, ...counts]) =>
    wanted
      .filter((stage) => counts[stage]! > 0)
      .flatMap((stage) => placesOf(stage).map((place): Range => ({ queueId, stage, place }))),
  )
  return ranges.length > RANGES_AT_MOST ? 'all' : ranges
}

const PRIORITIES = Array.from({ length: LOWEST_PRIORITY + 1 }, (_, priority) => priority)

const placesOf = (stage: Stage): readonly (number | null)[] =>
  stage < Stage.running ? PRIORITIES : [stage === Stage.running ? null : 0]

const SELECT_RANGE = `SELECT id, size FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id = ? AND stage = ? AND place = ?`

const SELECT_STAGE = `SELECT id, size FROM octoflow_requests FORCE INDEX (octoflow_requests_staged)
  WHERE queue_id = ? AND stage = ?`

const SUMS = COUNT_COLUMNS.map((column) => `SUM(${column})`).join(', ')

const SELECT_COUNTS = `SELECT queue_id, ${SUMS} FROM octoflow_counts GROUP BY queue_id`

const SELECT_COUNTS_OF = `SELECT queue_id, ${SUMS} FROM octoflow_counts
  WHERE queue_id IN (SELECT id FROM octoflow_queues WHERE name IN (?)) GROUP BY queue_id`
