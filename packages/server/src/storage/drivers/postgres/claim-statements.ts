import { QUEUE_COLUMNS } from '../../sql/queues.ts'
import { lockingLanes } from './lanes.ts'
import { addingSums, minuteOf } from './sums.ts'

// In the queries on pending jobs `stage` is a literal: a plan made for any value would not know which partial index serves.

const STATE = `SELECT
    (SELECT run_at FROM octoflow_requests WHERE queue_id = $6 AND stage = 1 ORDER BY run_at LIMIT 1) AS next_due,
    (SELECT wake_at FROM octoflow_lanes WHERE queue_id = $6 AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1) AS next_wake,
    ${QUEUE_COLUMNS}
  FROM octoflow_queues q WHERE q.id = $6`

// $1 now, $2 firsts, $3 workers, $4 untils, $5 grace, $6 queue, $7 limit, $8 characters, $9 whatever is due, $10 whatever the limits,
// $11 the slot of counts.
const starting = (
  taker: string,
  n: string,
  which: string,
): string => `UPDATE octoflow_requests r SET stage = 3, attempt = r.attempt + 1, fence = r.fence + 1,
    status_label = NULL, progress = NULL, started_at = $1::bigint, worker = ($3::text[])[${taker}],
    deadline = $1::bigint + r.timeout + $5::bigint,
    lease_until = least(($4::bigint[])[${taker}], $1::bigint + r.timeout + $5::bigint)
  ${which} RETURNING ${n}, r.id, r.attempt, r.fence, r.priority, r.received_at, r.run_at, r.lease_until, r.timeout,
    r.max_attempts, r.concurrency_key, r.options, r.meta, r.body, r.revised`

// `picked` has the jobs' place among those that are picked, of which width_bucket tells whose they are.
const startingOfMany = (row: string): string =>
  starting('width_bucket(picked.n, $2::bigint[])', 'picked.n', `FROM picked WHERE ${row}`)

// Without a join, which costs a quarter of the claim.
const startingOfOne = (which: string): string => starting('1', '1 AS n', `WHERE ${which} AND $2::bigint[] IS NOT NULL`)

const unlessAllNull = (column: string, aggregate: string): string =>
  `CASE WHEN count(${column}) > 0 THEN ${aggregate}(${column}) END`

// Subqueries that are fenced off by OFFSET are run for those rows alone that have something there.
const STARTED = `SELECT array_agg(n), array_agg(id), array_agg(attempt), array_agg(fence), array_agg(priority),
    array_agg(received_at), array_agg(run_at), array_agg(lease_until), ${unlessAllNull('timeout', 'array_agg')},
    ${unlessAllNull('max_attempts', 'array_agg')}, ${unlessAllNull('concurrency_key', 'json_agg')},
    ${unlessAllNull('options', 'json_agg')}, ${unlessAllNull('meta', 'json_agg')}, json_agg(payload)
  FROM (
    SELECT s.n, s.id, s.attempt, s.fence, s.priority, s.received_at, s.run_at, s.lease_until, s.timeout, s.max_attempts,
      s.concurrency_key, s.options, CASE WHEN s.body IS NULL THEN b.meta ELSE s.meta END AS meta,
      coalesce(p.body, s.body, b.body) AS payload
    FROM started s
    LEFT JOIN LATERAL (SELECT meta, body FROM octoflow_bodies WHERE id = s.id AND s.body IS NULL OFFSET 0) AS b ON true
    LEFT JOIN LATERAL (SELECT body FROM octoflow_payloads WHERE job_id = s.id AND s.revised OFFSET 0) AS p ON true
  ) AS job`

const LANES = lockingLanes({
  queue: '$6',
  keys: 'SELECT DISTINCT concurrency_key FROM started WHERE concurrency_key IS NOT NULL',
})

const SUMS = addingSums(
  '$11',
  `SELECT $6::integer AS queue_id, ${minuteOf('$1::bigint')} AS minute, count(*) AS jobs,
      sum(greatest(0, $1::bigint - run_at)::double precision) AS waited FROM started HAVING count(*) > 0`,
  { moved: ['ready', 'running'], took: { started: 'jobs', waited: 'waited' } },
)

// The claim is part of the statement that looks whether it may be made, so that a change of the settings comes either before or after it.
const LOCKED = `SELECT ctid, id, priority, run_at, concurrency_key, size FROM octoflow_requests
     WHERE queue_id = $6 AND stage = 0 ORDER BY priority, id
     LIMIT (SELECT CASE WHEN NOT q.paused
         AND ($10::boolean OR (q.concurrency IS NULL AND q.rate_limit IS NULL))
         AND ($9::boolean OR NOT EXISTS (SELECT FROM octoflow_requests WHERE queue_id = $6 AND stage = 1 AND run_at <= $1::bigint)
           AND NOT EXISTS (SELECT FROM octoflow_lanes WHERE queue_id = $6 AND wake_at IS NOT NULL AND wake_at <= $1::bigint))
         THEN $7::bigint ELSE 0 END FROM octoflow_queues q WHERE q.id = $6)
     FOR NO KEY UPDATE SKIP LOCKED`

const SEEN = `SELECT coalesce(sum(size), 0) >= $8::bigint AS too_heavy, coalesce(bool_or(concurrency_key IS NOT NULL), false) AS keyed
      FROM locked`

/** What becomes of jobs with concurrency keys: nothing is started where one is met, or their lanes are locked. */
export type Keyed = 'left' | 'taken'

const forEither = (
  statement: (mayStart: (keyed: string) => string, lanes: string) => string,
): Readonly<Record<Keyed, string>> => ({
  left: statement((keyed) => `NOT ${keyed}`, 'NULL::text'),
  taken: statement(() => 'true', LANES),
})

// A row that is locked stays where it is: finding it by its place spares a descent of the index.
export const PICK = forEither(
  (mayStart, lanes) => `WITH locked AS MATERIALIZED (${LOCKED}), seen AS MATERIALIZED (
    ${SEEN}
  ), ranked AS (
    SELECT *, row_number() OVER w AS n, sum(size) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM locked WINDOW w AS (ORDER BY priority, id)
  ), picked AS MATERIALIZED (
    SELECT * FROM ranked WHERE before IS NULL OR before < $8::bigint
  ), started AS (
    ${startingOfMany(`r.ctid = picked.ctid AND ${mayStart('(SELECT keyed FROM seen)')}`)}
  ), ${SUMS}
  SELECT started.*, (${lanes}), (SELECT keyed FROM seen), (SELECT count(*) FROM picked) < (SELECT count(*) FROM locked), state.*
    FROM (${STARTED}) AS started, (${STATE}) AS state`,
)

// For one caller it does not matter whose is which. Where the payloads may be too large together it takes nothing.
export const PICK_FOR_ONE = forEither(
  (mayStart, lanes) => `WITH locked AS MATERIALIZED (${LOCKED}), seen AS MATERIALIZED (
    ${SEEN}
  ), started AS (
    ${startingOfOne(`r.ctid = ANY (ARRAY(SELECT ctid FROM locked WHERE (SELECT NOT too_heavy AND ${mayStart('keyed')} FROM seen)))`)}
  ), ${SUMS}
  SELECT started.*, (${lanes}), seen.keyed, seen.too_heavy, state.*
    FROM (${STARTED}) AS started, seen, (${STATE}) AS state`,
)
