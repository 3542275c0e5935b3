import type { RequestRecord, RequestStatements } from '../../sql/requests.ts'
import type { Queryable } from './connection.ts'
import { idsOf } from './listing.ts'
import { submit } from './submits.ts'
import type { Transaction } from './transaction.ts'
import { array } from './values.ts'

export const requestStatements: RequestStatements<Queryable, Transaction> = {
  submit,
  idsOf,
  load: (from, ids) => from.rows<RequestRecord>(SELECT_REQUESTS, array(ids)),
  setHandled: (transaction, ids, handled) =>
    transaction.rows<[number, number | null, boolean | null]>(SET_HANDLED, array(ids), handled),
}

const SELECT_REQUESTS = `SELECT r.id, r.received_at, CASE WHEN r.body IS NULL THEN b.meta ELSE r.meta END, coalesce(r.body, b.body),
    q.name, r.handled
  FROM octoflow_requests r
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  LEFT JOIN octoflow_queues q ON q.id = r.queue_id
  WHERE r.id = ANY ($1::bigint[])`

const SET_HANDLED = `UPDATE octoflow_requests r SET handled = $2 FROM (
    SELECT id FROM octoflow_requests WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE
  ) AS locked WHERE r.id = locked.id
  RETURNING r.id, r.queue_id, r.stage = 0`
