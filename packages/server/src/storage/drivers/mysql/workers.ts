import type { WorkerInfo } from '../../../model/worker.ts'
import type { Sighting, WorkerStore } from '../../contract/workers.ts'
import { Coalescer } from '../../sql/coalescer.ts'
import { type SeenWorker, seenWorkers, toWorker, WORKER_COLUMNS, type WorkerRecord } from '../../sql/workers.ts'
import type { Database } from './database.ts'
import type { Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

type Seen = Parameters<WorkerStore['seen']>[0]

/** Sightings that one transaction stores. */
const TOGETHER = 2_000

export class MysqlWorkers implements WorkerStore {
  readonly #db: Database
  readonly #writer: Writer
  readonly #sightings: Coalescer<Seen, undefined>

  constructor(db: Database, writer: Writer) {
    this.#db = db
    this.#writer = writer
    this.#sightings = new Coalescer(
      (calls) => this.#note(calls),
      ({ workers }) => workers.length,
      TOGETHER,
    )
  }

  seen(params: Seen): Promise<void> {
    return this.#db.underWay(() => this.#sightings.do(params))
  }

  async list({ since }: Parameters<WorkerStore['list']>[0]): Promise<readonly WorkerInfo[]> {
    return (await this.#db.rows<WorkerRecord>(SELECT, since)).map(toWorker)
  }

  setDraining({ id, draining }: Parameters<WorkerStore['setDraining']>[0]): Promise<boolean> {
    return this.#writer.write(async (transaction) => (await transaction.execute(SET_DRAINING, draining, id)).affectedRows > 0, {
      repeatable: true,
    })
  }

  async #note(calls: readonly Seen[]): Promise<readonly undefined[]> {
    const sightings = calls.flatMap(({ workers }) => workers)
    if (sightings.length > 0) await this.#writer.transact((transaction) => note(transaction, sightings), { repeatable: true })
    return calls.map(() => undefined)
  }
}

async function note(transaction: Transaction, sightings: readonly Sighting[]): Promise<void> {
  const seen = await seenWorkers(sightings, (ids) => transaction.rows<[string, string]>(LOCK, ids))
  transaction.send(
    UPSERT,
    seen.toSorted(inOrder).map(({ id, queues, at, agent }) => [id, queues, at, at, agent]),
  )
}

const inOrder = (a: SeenWorker, b: SeenWorker): number => (a.id < b.id ? -1 : 1)

const SELECT = `SELECT ${WORKER_COLUMNS} FROM octoflow_workers
  WHERE last_seen_at >= ? ORDER BY id`

const SET_DRAINING = 'UPDATE octoflow_workers SET draining = ? WHERE id = ?'

const LOCK = 'SELECT id, queues FROM octoflow_workers FORCE INDEX (PRIMARY) WHERE id IN (?) ORDER BY id FOR UPDATE'

const UPSERT = `INSERT INTO octoflow_workers (id, queues, first_seen_at, last_seen_at, agent) VALUES ?
  ON DUPLICATE KEY UPDATE queues = VALUES(queues), last_seen_at = GREATEST(last_seen_at, VALUES(last_seen_at)),
    agent = COALESCE(VALUES(agent), agent)`
