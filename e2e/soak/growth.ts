/** What is measured after every round, when all jobs of the round have been deleted. Sizes are in bytes. */
export interface Measurement {
  /** Of the database file of the server that is killed. */
  readonly file: number
  /** Idempotency keys that it remembers for a day, and which may fill it. */
  readonly keys: number
  /** Of the server that is never killed. */
  readonly serverMemory: number
  /** Of the worker that is never killed. */
  readonly workerMemory: number
}

/** What a remembered key takes at the most, with its answer and indexes. */
const BYTES_PER_KEY = 600

/** Rounds differ in size, and pages that were given free are not always filled at once. */
const FILE_SLACK = 8 * 2 ** 20

/** A process grows while its caches fill and its code is compiled; what is above that is a leak. */
const MEMORY_FACTOR = 1.25
const MEMORY_SLACK = 32 * 2 ** 20

/** Fewer tell nothing. */
const FEWEST = 6

/** @returns what grows without end, in words; empty if nothing does. */
export function growth(measured: readonly Measurement[]): readonly string[] {
  if (measured.length < FEWEST) return []
  const third = Math.floor(measured.length / 3)
  const early = measured.slice(1, 1 + third)
  const late = measured.slice(-third)
  const found: string[] = []
  const ownSize = ({ file, keys }: Measurement): number => file - keys * BYTES_PER_KEY
  if (median(late.map(ownSize)) > median(early.map(({ file }) => file)) + FILE_SLACK) found.push('the database file')
  for (const [what, of] of [
    ['the memory of the server', (at: Measurement) => at.serverMemory],
    ['the memory of the worker', (at: Measurement) => at.workerMemory],
  ] as const)
    if (median(late.map(of)) > median(early.map(of)) * MEMORY_FACTOR + MEMORY_SLACK) found.push(what)
  return found
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
