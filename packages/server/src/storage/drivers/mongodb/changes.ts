import type { AnyBulkWriteOperation, Collection, Document } from 'mongodb'
import type { Connection } from './connection.ts'
import type { CollectionName, Stored } from './documents.ts'
import { duplicatesIn } from './errors.ts'
import { oneOf } from './one-of.ts'

type Id = string | number

/** What a commit does to one collection. */
export type Change = { readonly table: CollectionName } & (
  | { readonly kind: 'insert'; readonly documents: readonly Stored[] }
  | { readonly kind: 'put'; readonly documents: readonly Stored[] }
  | { readonly kind: 'update'; readonly ids: readonly Id[]; readonly fields: Readonly<Record<string, unknown>> }
  /** Documents that are gone without a trace: should one come back by a late write, nobody would miss it or mind it. */
  | { readonly kind: 'drop'; readonly field: string; readonly values: readonly Id[] }
)

/** Some servers that speak the protocol hang when one command has a hundred updates or more. */
const AT_ONCE = 50

/**
 * Carries out the changes of a commit. May be done any number of times, also after later commits: a document that is there is not
 * inserted again, and what a later commit has written is left as it is.
 */
export async function apply(connection: Connection, commit: number, changes: readonly Change[]): Promise<void> {
  const bySteps = Map.groupBy(changes, stepOf)
  for (const step of STEPS) {
    const byTable = Map.groupBy(bySteps.get(step) ?? [], ({ table }) => table)
    await Promise.all([...byTable].map(([table, own]) => applyTo(connection, table, commit, own)))
  }
}

const STEPS = ['first', 'then', 'last'] as const

/** Those that say of others what has become of them: an operation that is completed has left nothing to be seen. */
const REPORTS: ReadonlySet<CollectionName> = new Set(['logEventArrivals', 'operations'])

/**
 * Texts come before the documents that they belong to, and go after them: who meets a document finds its texts. What reports on
 * others is written after these.
 */
function stepOf({ table, kind }: Change): (typeof STEPS)[number] {
  if (table === 'texts') return kind === 'drop' ? 'last' : 'first'
  return REPORTS.has(table) ? 'last' : 'then'
}

async function applyTo(
  connection: Connection,
  table: CollectionName,
  commit: number,
  changes: readonly Change[],
): Promise<void> {
  await connection.run(async () => {
    const collection = await connection.collection(table)
    const documentsOf = (kind: 'insert' | 'put'): Stored[] =>
      changes.flatMap((change) => (change.kind === kind ? change.documents : [])).map((document) => ({ ...document, commit }))
    await insert(collection, documentsOf('insert'))
    const there = await insert(collection, documentsOf('put'))
    const operations = [
      ...there.map((document) => replacement(document, commit)),
      ...changes.flatMap((change) => operationOf(change, commit) ?? []),
    ]
    for (let at = 0; at < operations.length; at += AT_ONCE) await update(collection, operations.slice(at, at + AT_ONCE))
  })
}

async function update(collection: Collection<Document>, operations: AnyBulkWriteOperation<Document>[]): Promise<void> {
  try {
    await collection.bulkWrite(operations, { ordered: false })
  } catch (error) {
    // A later commit has written what this one would have inserted.
    if (duplicatesIn(error) === null) throw error
  }
}

/** @returns those whose `_id` there is already. */
async function insert(collection: Collection<Document>, documents: readonly Stored[]): Promise<Stored[]> {
  if (documents.length === 0) return []
  try {
    await collection.insertMany(documents as unknown as Document[], { ordered: false })
    return []
  } catch (error) {
    const indexes = duplicatesIn(error)
    if (indexes === null) throw error
    return indexes.map((index) => documents[index]!)
  }
}

/** Of a document that was deleted, nothing but that is left to be removed. */
const replacement = ({ _id, ...fields }: Stored, commit: number): AnyBulkWriteOperation<Document> => ({
  updateMany: {
    filter: { _id, ...before(commit) } as Document,
    update: updateOf({ ...fields, deletedAt: null }, commit),
    upsert: true,
  },
})

function operationOf(change: Change, commit: number): AnyBulkWriteOperation<Document> | null {
  switch (change.kind) {
    case 'insert':
    case 'put':
      return null
    case 'update':
      return {
        updateMany: { filter: { ...oneOf('_id', change.ids), ...before(commit) }, update: updateOf(change.fields, commit) },
      }
    case 'drop':
      return { deleteMany: { filter: { ...oneOf(change.field, change.values), commit: { $lte: commit } } } }
  }
}

const before = (commit: number): Document => ({ commit: { $lt: commit } })

function updateOf(fields: Readonly<Record<string, unknown>>, commit: number): Document {
  const set: Record<string, unknown> = { commit }
  const unset: Record<string, ''> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === null) unset[name] = ''
    else set[name] = value
  }
  return Object.keys(unset).length === 0 ? { $set: set } : { $set: set, $unset: unset }
}
