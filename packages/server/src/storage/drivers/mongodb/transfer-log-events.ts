import { CHARACTERS_AT_ONCE } from '../../contract/page.ts'
import { toLogEvents } from './log-event-documents.ts'
import type { RecordCollection } from './transfer-collections.ts'

/** Log events in the order of their arrival. */
export const logEvents: RecordCollection<'logEvent'> = {
  count: (connection) => connection.count('logEvents'),

  async read({ connection }, after, limit) {
    const query = { filter: { sequence: { $gt: Number(after ?? 0) } }, sort: { sequence: 1 }, limit } as const
    const found = await connection.take('logEvents', query, ({ size }) => size, CHARACTERS_AT_ONCE)
    const size = found.reduce((sum, document) => sum + document.size, 0)
    const isCut = found.length === limit || size >= CHARACTERS_AT_ONCE
    return { records: await toLogEvents(connection, found), next: isCut ? String(found.at(-1)!.sequence) : null }
  },

  insert: async (transaction, records) => transaction.logEvents.restore(records),
}
