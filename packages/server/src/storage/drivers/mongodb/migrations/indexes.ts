import type { CreateIndexesOptions, Db, IndexSpecification } from 'mongodb'
import { isNotImplemented } from '../errors.ts'

export type Index = readonly [collection: string, key: IndexSpecification, options?: CreateIndexesOptions]

/** Sparse and partial indexes have only the documents that have a field. */
export const SPARSE: CreateIndexesOptions = { sparse: true }

/** Makes indexes, and with them their collections, where there are none. */
export async function createIndexes(db: Db, indexes: readonly Index[]): Promise<void> {
  for (const [name, key, options] of indexes) {
    const collection = db.collection(`octoflow_${name}`)
    try {
      await collection.createIndex(key, options)
    } catch (error) {
      // FerretDB knows no index that leaves documents out. It searches in no other either, but pays for each with every
      // write, so it is better off without.
      if (options === undefined || !isNotImplemented(error)) throw error
    }
  }
}
