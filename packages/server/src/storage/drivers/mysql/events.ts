import { EVENT_COLUMNS, type EventRecord, type EventStatements, type Said } from '../../sql/events.ts'
import { pageQuery } from '../../sql/paging.ts'
import { Stage } from '../../sql/stages.ts'
import type { Queryable } from './connection.ts'
import type { Transaction } from './transaction.ts'
import { inPortions, type Scalar } from './values.ts'

export const eventStatements: EventStatements<Queryable, Transaction> = {
  together: 2_000,
  async append(transaction, said) {
    const jobs = await transaction.rows<[number, number, Stage]>(SHARE_JOBS, [...new Set(said.map(([jobId]) => jobId))])
    // While it is locked here a claim passes it by.
    for (const [, queueId, stage] of jobs) if (stage === Stage.ready) transaction.change(queueId).becameReady++
    const known = new Set(jobs.map(([id]) => id))
    const heard = said.filter(([jobId]) => known.has(jobId))
    const portions = [...inPortions(heard.map(rowOf))]
    const written = await Promise.all(portions.map((portion) => transaction.execute(INSERT, portion)))
    const ids = written.flatMap(({ insertId }, index) => portions[index]!.map((_, at) => insertId + at))
    let heardBefore = 0
    return said.map(([jobId]) => (known.has(jobId) ? ids[heardBefore++]! : null))
  },
  sizes(from, jobId, page) {
    const { where, order, after, limit } = pageQuery(page, 'id')
    const sql = `SELECT id, LENGTH(message) + COALESCE(LENGTH(data), 0) FROM octoflow_events
      WHERE job_id = ? AND ${where} ${order} LIMIT ?`
    return from.rows<[number, number]>(sql, jobId, after, limit)
  },
  load: (from, ids) => from.rows<EventRecord>(SELECT, ids),
}

/** Records events of jobs that exist. */
export function sendEvents(transaction: Transaction, events: readonly Said[]): void {
  transaction.insert(INSERT, events.map(rowOf))
}

const rowOf = ([jobId, { at, kind, level, message, data }, now]: Said): Scalar[] => [
  jobId,
  at ?? now,
  kind,
  level,
  message,
  data,
]

const SELECT = `SELECT ${EVENT_COLUMNS} FROM octoflow_events WHERE id IN (?)`

// The rows of one statement are numbered in a row, in the order in which they are given.
const INSERT = 'INSERT INTO octoflow_events (job_id, at, kind, level, message, data) VALUES ?'

// Keeps the jobs from being deleted meanwhile.
const SHARE_JOBS = `SELECT id, queue_id, stage FROM octoflow_requests FORCE INDEX (PRIMARY)
  WHERE id IN (?) AND stage IS NOT NULL ORDER BY id LOCK IN SHARE MODE`
