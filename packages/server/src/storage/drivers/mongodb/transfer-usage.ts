import type { UsageRecord } from '../../contract/transfer.ts'
import type { Connection } from './connection.ts'
import { type LaneDocument, laneId, type QueueDocument } from './documents.ts'
import type { Transaction } from './transaction.ts'
import type { RecordCollection } from './transfer-collections.ts'

/** The collections whose documents hold starts, in the order in which they are read. */
const HOLDERS = ['queues', 'lanes'] as const

const WITH_STARTS = { 'starts.0': { $exists: true } }

/** The last record read: the collection and the document it stands in, and its slice. */
type Position = readonly [holder: number, id: string, slice: number]

/** Starts that count against rate limits: each queue and each lane holds its own. */
export const usage: RecordCollection<'usage'> = {
  async count(connection) {
    let count = 0
    for (const name of HOLDERS)
      for (const { starts = [] } of await connection.find(name, { filter: WITH_STARTS, projection: { starts: 1 } }))
        count += starts.length
    return count
  },

  async read({ connection }, after, limit) {
    const [first, afterId, afterSlice] = after === null ? ([0, '', 0] as const) : (JSON.parse(after) as Position)
    const records: UsageRecord[] = []
    for (let holder = first; holder < HOLDERS.length; holder++) {
      const from = holder === first ? afterId : ''
      for (const document of await holdersFrom(connection, HOLDERS[holder]!, from, limit + 1))
        for (const { start: slice, used } of document.starts!) {
          if (holder === first && document._id === afterId && slice <= afterSlice) continue
          records.push({ ...ownerOf(document), slice, used })
          if (records.length === limit) return { records, next: JSON.stringify([holder, document._id, slice]) }
        }
    }
    return { records, next: null }
  },

  async insert(transaction, records) {
    await transaction.tables.lanes.load(records.flatMap(({ queue, key }) => (key === null ? [] : [laneId(queue, key)])))
    for (const record of records) await insert(transaction, record)
  },
}

/** One more than a page has records: of the first, all may have been read before. */
async function holdersFrom(
  connection: Connection,
  name: (typeof HOLDERS)[number],
  from: string,
  limit: number,
): Promise<readonly (QueueDocument | LaneDocument)[]> {
  return connection.find(name, { filter: { ...WITH_STARTS, _id: { $gte: from } }, sort: { _id: 1 }, limit })
}

const ownerOf = (document: QueueDocument | LaneDocument): Pick<UsageRecord, 'queue' | 'key'> =>
  'key' in document ? { queue: document.queue, key: document.key } : { queue: document._id, key: null }

async function insert(transaction: Transaction, { queue: name, key, slice, used }: UsageRecord): Promise<void> {
  const queue = (await transaction.findQueue(name))!
  const holder = key === null ? queue : await transaction.lanes.get(queue, key)
  holder.starts = [...holder.starts, { start: slice, used }].sort((a, b) => a.start - b.start)
  holder.changed = true
  // A key that no job has any more is forgotten as if its last one had ended with its last start.
  if ('idleAt' in holder && holder.running + holder.ready + holder.held === 0)
    holder.idleAt = Math.max(holder.idleAt ?? 0, slice)
}
