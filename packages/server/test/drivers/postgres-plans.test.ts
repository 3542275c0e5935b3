import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobState } from '../../src/model/job.ts'
import { Connection, type Queryable, type Value } from '../../src/storage/drivers/postgres/connection.ts'
import { idsOf } from '../../src/storage/drivers/postgres/listing.ts'
import { parseUrl } from '../../src/storage/drivers/postgres/url.ts'
import { listIds } from '../../src/storage/sql/listing.ts'
import { NOW, newRequest } from '../conformance/harness.ts'
import { openSchema, querySchema, SKIPPED, shareServer } from './postgres-storage.ts'

/** What the database reads to find a page, by its own account. */

shareServer()

const OTHERS = 20_000
const PAGE = 50

const LISTS: readonly (readonly [states: readonly JobState[], order: 'asc' | 'desc', found: number])[] = [
  [['dead'], 'desc', 0],
  [['dead'], 'asc', 0],
  [['cancelled', 'dead'], 'desc', 0],
  [['completed'], 'desc', PAGE],
  [['completed', 'dead'], 'asc', PAGE],
  [['pending'], 'desc', 1],
  [['pending', 'running'], 'asc', 1],
]

test('A page reads few rows but those that it shows, however many others there are.', { skip: SKIPPED }, async () => {
  await using opened = await openSchema()
  await opened.storage.migrations.migrate({ now: NOW })
  await opened.storage.requests.submit({ now: NOW, items: [newRequest({ queue: 'q' })] })
  await querySchema(opened.url, FINISH_OTHERS)
  const { client, schema } = parseUrl(opened.url)
  const connection = await Connection.open({ client, schema, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000 })
  try {
    for (const [states, order, found] of LISTS) {
      const observed = new Observed(connection)
      const load = async (ids: readonly number[]) => ids.map((id) => ({ id }))
      const { items } = await listIds(idsOf(observed), { states }, { order, limit: PAGE, after: null }, { load })
      const what = `${states.join(', ')} ${order}: ${observed.read} rows read`
      assert.equal(items.length, found, what)
      assert.ok(observed.read <= 2 * PAGE, what)
    }
  } finally {
    await connection.close()
  }
})

const FINISH_OTHERS = `INSERT INTO octoflow_requests (id, received_at, queue_id, stage, priority)
  SELECT nextval('octoflow_ids'), ${NOW}, 1, 4, 5 FROM generate_series(1, ${OTHERS}); ANALYZE octoflow_requests`

interface Plan {
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly Plan[]
}

/** Counts the rows of requests that each query reads. */
class Observed implements Queryable {
  read = 0
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async rows<Row extends readonly unknown[]>(sql: string, ...values: readonly Value[]): Promise<Row[]> {
    const [row] = await this.#connection.rows<[string]>(`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`, ...values)
    const [{ Plan }] = JSON.parse(row![0]) as [{ Plan: Plan }]
    this.#count(Plan)
    return this.#connection.rows(sql, ...values)
  }

  #count(plan: Plan): void {
    const rows = plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)
    if (plan['Relation Name'] === 'octoflow_requests') this.read += rows * plan['Actual Loops']
    for (const part of plan.Plans ?? []) this.#count(part)
  }
}
