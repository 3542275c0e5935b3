import type { Instant } from '../../../lib/time.ts'
import type { Submitted } from '../../contract/requests.ts'
import { formatOptions } from '../../sql/options.ts'
import { type SubmitCall, type SubmittedRow, type SubmitVerbs, submitAll } from '../../sql/submits.ts'
import { keepAnswers, lockKeys } from './idempotency.ts'
import { insertLabels } from './job-rows.ts'
import type { Transaction } from './transaction.ts'
import { uniqueHolders } from './unique-keys.ts'
import { column, textArray, textColumn } from './values.ts'

export const submit = (transaction: Transaction, calls: readonly SubmitCall[]): Promise<readonly (readonly Submitted[])[]> =>
  submitAll(transaction, calls, VERBS)

const VERBS: SubmitVerbs<Transaction> = {
  lockKeys,
  keepAnswers,
  uniqueHolders,
  async insert(transaction, rows, latest) {
    // The lanes are locked when the rows are written, and in the same round trip.
    const [first] = await Promise.all([insertRows(transaction, rows, latest), transaction.lanes.lock()])
    return first
  },
  insertLabels,
}

/** @returns the id of the first row; the others follow it. */
async function insertRows(transaction: Transaction, rows: readonly SubmittedRow[], latest: Instant): Promise<number> {
  const jobs = rows.map(({ item }) => (item.queueId === null ? null : item.request.job))
  const ordered = jobs.some((job) => job?.uniqueKey != null)
  const apart = rows.some(({ inline }) => !inline)
  const inserted = await transaction.rows<[number]>(
    INSERT[`${ordered}`][`${apart}`],
    rows.length,
    latest,
    textArray(rows.map(({ body }) => body)),
    ...column(notBefore(rows)),
    ...column(rows.map(({ item }) => item.queueId)),
    ...column(rows.map(({ stage }) => stage)),
    ...column(jobs.map((job) => job?.priority ?? null)),
    ...column(jobs.map((job) => job?.runAt ?? null)),
    ...column(jobs.map((job) => job?.maxAttempts ?? null)),
    ...column(jobs.map((job) => job?.timeout ?? null)),
    ...column(rows.map(({ inline, body }) => (inline ? null : body.length))),
    ...textColumn(jobs.map((job) => job?.concurrencyKey ?? null)),
    ...textColumn(jobs.map((job) => job?.uniqueKey ?? null)),
    ...textColumn(
      jobs.map((job) => (job === null ? null : formatOptions({ backoff: job.backoff, timeout: null, labels: job.labels }))),
    ),
    ...textColumn(rows.map(({ meta }) => meta)),
  )
  return inserted[0]![0]
}

/** Times that rise with the ids, though those who submit together may have read the clock in another order. */
function notBefore(rows: readonly SubmittedRow[]): Instant[] {
  let latest = Number.NEGATIVE_INFINITY
  return rows.map(({ item }) => {
    latest = Math.max(latest, item.now)
    return latest
  })
}

/** Beside the bodies; each is two parameters, as `column` makes them. */
const COLUMNS: readonly (readonly [name: string, type: string])[] = [
  ['not_before', 'bigint'],
  ['queue_id', 'integer'],
  ['stage', 'smallint'],
  ['priority', 'smallint'],
  ['run_at', 'bigint'],
  ['max_attempts', 'integer'],
  ['timeout', 'bigint'],
  ['size', 'integer'],
  ['concurrency_key', 'text'],
  ['unique_key', 'text'],
  ['options', 'text'],
  ['meta', 'text'],
]

const BODIES = 3
const arrayOf = (index: number): string => `$${BODIES + 1 + 2 * index}`
const scalarOf = (index: number): string => `$${BODIES + 2 + 2 * index}`

// Rows with a unique key come in its order, so that two transactions that insert the same keys never wait for each other.
// What mostly is not there is left out, for it makes the rows go through a table in memory.
const inserting = ({ ordered, apart }: { readonly ordered: boolean; readonly apart: boolean }): string => `WITH
  given AS MATERIALIZED (SELECT * FROM octoflow_allocate($1, $2)),
  row AS ${apart ? '' : 'NOT'} MATERIALIZED (
    SELECT given.first_id + n - 1 AS id, given.not_before AS floor, body,
        ${COLUMNS.map(([name, type], index) => `coalesce(r.${name}, ${scalarOf(index)}::${type}) AS ${name}`).join(', ')}
      FROM given, unnest($${BODIES}::text[], ${COLUMNS.map(([, type], index) => `${arrayOf(index)}::${type}[]`).join(', ')})
        WITH ORDINALITY AS r (body, ${COLUMNS.map(([name]) => name).join(', ')}, n)),
  ${apart ? 'apart AS (INSERT INTO octoflow_bodies (id, meta, body) SELECT id, meta, body FROM row WHERE size IS NOT NULL),' : ''}
  inserted AS (
    INSERT INTO octoflow_requests (id, received_at, run_at, queue_id, stage, priority, max_attempts, size, timeout,
      concurrency_key, unique_key, options, meta, body)
    SELECT id, greatest(floor, not_before), CASE WHEN stage IS NOT NULL THEN coalesce(run_at, greatest(floor, not_before)) END, queue_id,
      stage, priority, max_attempts, size, timeout, concurrency_key, unique_key, options,
      CASE WHEN size IS NULL THEN meta END, CASE WHEN size IS NULL THEN body END
    FROM row ${ordered ? 'ORDER BY unique_key COLLATE "C", queue_id, id' : ''})
  SELECT first_id FROM given`

const INSERT = {
  false: {
    false: inserting({ ordered: false, apart: false }),
    true: inserting({ ordered: false, apart: true }),
  },
  true: {
    false: inserting({ ordered: true, apart: false }),
    true: inserting({ ordered: true, apart: true }),
  },
} as const
