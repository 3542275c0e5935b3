import type { ResultStore, StoredResult } from '../../contract/results.ts'
import type { Connection } from './connection.ts'
import { loadTexts, readWhole } from './texts.ts'

export class MongoResults implements ResultStore {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async find({ jobIds }: Parameters<ResultStore['find']>[0]): Promise<readonly StoredResult[]> {
    return readWhole(() => this.#read(jobIds))
  }

  async #read(jobIds: readonly number[]): Promise<readonly StoredResult[]> {
    const documents = await this.#connection.findByIds('requests', jobIds, { result: 1 })
    const results = new Map(documents.map(({ _id, result }) => [_id, result]))
    const found = jobIds.flatMap((jobId) => {
      const result = results.get(jobId)
      return result === undefined ? [] : [{ jobId, ...result }]
    })
    const values = await loadTexts(
      this.#connection,
      found.map(({ value }) => value),
    )
    return found.map(({ jobId, at }, index) => ({ jobId, at, value: values[index]! }))
  }
}
