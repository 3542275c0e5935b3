import type { RequestRecord, RequestStatements } from '../../sql/requests.ts'
import { Stage } from '../../sql/stages.ts'
import type { Queryable } from './connection.ts'
import { idsOf } from './listing.ts'
import { submit } from './submits.ts'
import type { Transaction } from './transaction.ts'

export const requestStatements: RequestStatements<Queryable, Transaction> = {
  submit,
  idsOf,
  load: (from, ids) => from.rows<RequestRecord>(SELECT_REQUESTS, ids),
  async setHandled(transaction, ids, handled) {
    const rows = await transaction.rows<[number, number | null, Stage | null]>(LOCK_REQUESTS, ids)
    if (rows.length > 0)
      transaction.send(
        SET_HANDLED,
        handled,
        rows.map(([id]) => id),
      )
    return rows.map(([id, queueId, stage]) => [id, queueId, stage === Stage.ready])
  },
}

const SELECT_REQUESTS = `SELECT r.id, r.received_at, IF(r.body IS NULL, b.meta, r.meta), COALESCE(r.body, b.body),
    q.name, r.handled
  FROM octoflow_requests r
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  LEFT JOIN octoflow_queues q ON q.id = r.queue_id
  WHERE r.id IN (?)`

const LOCK_REQUESTS = `SELECT id, queue_id, stage FROM octoflow_requests FORCE INDEX (PRIMARY)
  WHERE id IN (?) ORDER BY id FOR UPDATE`

const SET_HANDLED = 'UPDATE octoflow_requests FORCE INDEX (PRIMARY) SET handled = ? WHERE id IN (?)'
