import type { Instant } from '../../../lib/time.ts'
import type { Submitted } from '../../contract/requests.ts'
import { formatOptions } from '../../sql/options.ts'
import { type SubmitCall, type SubmittedRow, type SubmitVerbs, submitAll } from '../../sql/submits.ts'
import { keepAnswers, lockKeys } from './idempotency.ts'
import { insertLabels } from './job-rows.ts'
import type { Transaction } from './transaction.ts'
import { uniqueHolders } from './unique-keys.ts'
import type { Scalar } from './values.ts'

export const submit = (transaction: Transaction, calls: readonly SubmitCall[]): Promise<readonly (readonly Submitted[])[]> =>
  submitAll(transaction, calls, VERBS)

const VERBS: SubmitVerbs<Transaction> = {
  lockKeys,
  keepAnswers,
  uniqueHolders,
  async insert(transaction, rows, latest) {
    const { first, notBefore } = await takeIds(transaction, rows.length, latest)
    insertRows(transaction, rows, first, notBefore)
    return first
  },
  insertLabels,
}

function insertRows(transaction: Transaction, rows: readonly SubmittedRow[], first: number, notBefore: Instant): void {
  const requests: Scalar[][] = []
  const bodies: Scalar[][] = []
  let receivedAt = notBefore
  for (const [index, { item, stage, meta, body, inline }] of rows.entries()) {
    const { queueId, request, now } = item
    const id = first + index
    receivedAt = Math.max(receivedAt, now)
    if (!inline) bodies.push([id, meta, body])
    const content = inline ? [null, meta, body] : [body.length, null, null]
    if (queueId === null) requests.push([id, receivedAt, null, null, null, null, null, null, null, null, null, ...content])
    else {
      const job = request.job!
      const options = formatOptions({ backoff: job.backoff, timeout: null, labels: job.labels })
      const keys = [job.concurrencyKey, job.uniqueKey]
      const { priority, maxAttempts, timeout } = job
      const runAt = job.runAt ?? receivedAt
      requests.push([id, receivedAt, queueId, stage, priority, runAt, maxAttempts, timeout, ...keys, options, ...content])
    }
  }
  transaction.insert(INSERT, requests)
  transaction.insert(INSERT_BODIES, bodies)
}

/** Ids in a row, and the time before which no request with them may have come. */
async function takeIds(
  transaction: Transaction,
  wanted: number,
  latest: Instant,
): Promise<{ readonly first: number; readonly notBefore: Instant }> {
  const [row] = await transaction.rows<[number, Instant]>(LOCK_SEQUENCE)
  const [first, notBefore] = row!
  transaction.send(ADVANCE_SEQUENCE, first + wanted, Math.max(notBefore, latest))
  return { first, notBefore }
}

const LOCK_SEQUENCE = 'SELECT next_id, last_at FROM octoflow_sequence WHERE one = 1 FOR UPDATE'

const ADVANCE_SEQUENCE = 'UPDATE octoflow_sequence SET next_id = ?, last_at = ? WHERE one = 1'

const INSERT = `INSERT INTO octoflow_requests (id, received_at, queue_id, stage, priority, run_at, max_attempts, timeout,
  concurrency_key, unique_key, options, size, meta, body) VALUES ?`

const INSERT_BODIES = 'INSERT INTO octoflow_bodies (id, meta, body) VALUES ?'
