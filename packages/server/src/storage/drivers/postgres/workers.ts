import type { WorkerInfo } from '../../../model/worker.ts'
import type { Sighting, WorkerStore } from '../../contract/workers.ts'
import { Coalescer } from '../../sql/coalescer.ts'
import { seenWorkers, toWorker, WORKER_COLUMNS, type WorkerRecord } from '../../sql/workers.ts'
import type { Database } from './database.ts'
import type { Transaction } from './transaction.ts'
import { array, textArray } from './values.ts'
import type { Writer } from './writer.ts'

type Seen = Parameters<WorkerStore['seen']>[0]

/** Sightings that one transaction stores. */
const TOGETHER = 500

export class PostgresWorkers implements WorkerStore {
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
    return this.#writer.write(async (transaction) => (await transaction.rows(SET_DRAINING, id, draining)).length > 0, {
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
  const seen = await seenWorkers(sightings, (ids) => transaction.rows<[string, string]>(LOCK, textArray(ids)))
  transaction.send(
    UPSERT,
    textArray(seen.map(({ id }) => id)),
    textArray(seen.map(({ queues }) => queues)),
    array(seen.map(({ at }) => at)),
    textArray(seen.map(({ agent }) => agent)),
  )
}

const SELECT = `SELECT ${WORKER_COLUMNS} FROM octoflow_workers
  WHERE last_seen_at >= $1 ORDER BY id`

const SET_DRAINING = 'UPDATE octoflow_workers SET draining = $2 WHERE id = $1 RETURNING id'

const LOCK = 'SELECT id, queues FROM octoflow_workers WHERE id = ANY ($1::text[]) ORDER BY id FOR NO KEY UPDATE'

const UPSERT = `INSERT INTO octoflow_workers AS w (id, queues, first_seen_at, last_seen_at, agent)
  SELECT id, queues, at, at, agent FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS s (id, queues, at, agent)
   ORDER BY id COLLATE "C"
  ON CONFLICT (id) DO UPDATE SET queues = excluded.queues, last_seen_at = greatest(w.last_seen_at, excluded.last_seen_at),
    agent = coalesce(excluded.agent, w.agent)`
