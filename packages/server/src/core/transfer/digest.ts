import { createHash } from 'node:crypto'
import type { Storage } from '../../storage/contract/storage.ts'
import type { RecordKind } from '../../storage/contract/transfer.ts'

const AT_ONCE = 500

/** What all records of one kind come to: equal in two databases if, but for a chance of 1 in 2⁶⁴, the records are equal. */
export interface Digest {
  readonly count: number
  /** The sum of the first 64 bits of each record's SHA-256, modulo 2⁶⁴, in hexadecimal: whatever the order they come in. */
  readonly checksum: string
}

/** @param signal ends it early, with a digest of what was read. @param onRecords told how many more were read. */
export async function digestOf(
  storage: Storage,
  kind: RecordKind,
  signal: AbortSignal,
  onRecords: (count: number) => void,
): Promise<Digest> {
  let count = 0
  let checksum = 0n
  let after: string | null = null
  do {
    const page: { readonly records: readonly unknown[]; readonly next: string | null } = await storage.transfer.read({
      kind,
      after,
      limit: AT_ONCE,
    })
    for (const record of page.records) checksum += hashOf(record)
    count += page.records.length
    onRecords(page.records.length)
    after = page.next
  } while (after !== null && !signal.aborted)
  return { count, checksum: BigInt.asUintN(64, checksum).toString(16).padStart(16, '0') }
}

const hashOf = (record: unknown): bigint => createHash('sha256').update(canonical(record)).digest().readBigUInt64BE()

/** As JSON with the members of each object in order of name: databases that parse JSON give them in an order of their own. */
const canonical = (record: unknown): string =>
  JSON.stringify(record, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
