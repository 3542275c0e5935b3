import { openSync, readFileSync, writeSync } from 'node:fs'

/** Microseconds of CLOCK_MONOTONIC, which all processes of a machine share and nobody can set. */
export const monotonicNow = (): number => Number(process.hrtime.bigint() / 1_000n)

/** How a handler came to its end by itself. */
export type Conclusion = 'done' | 'failed' | 'aborted'

interface Begin {
  readonly run: string
  readonly begin: number
  readonly worker: string
  readonly job: number
  readonly attempt: number
  readonly queue: string
  readonly key: string | null
}

interface End {
  readonly run: string
  readonly end: number
  readonly conclusion: Conclusion
  readonly cause: string | null
}

/** One run of a handler, as it was seen from inside it. Times are those of `monotonicNow()`. */
export interface Attempt extends Begin {
  /** Infinity while it runs. */
  readonly end: number
  readonly conclusion: Conclusion | 'killed' | 'running'
  /** Why its signal fired. */
  readonly cause: string | null
}

/**
 * Where handlers of many processes note when they begin and end. What one call writes is appended as a whole, and it is in
 * the file when the call returns, whatever becomes of the process.
 *
 * A beginning is noted after the handler was entered and an end before it is left, so what the journal shows as running did
 * run: an overlap that is found here is real.
 */
export class Journal {
  readonly #file: number
  readonly #worker: string
  #runs = 0

  constructor(path: string, worker: string) {
    this.#file = openSync(path, 'a')
    this.#worker = worker
  }

  begin(job: Pick<Begin, 'job' | 'attempt' | 'queue' | 'key'>): string {
    const run = `${this.#worker}/${++this.#runs}`
    this.#write({ run, begin: monotonicNow(), worker: this.#worker, ...job } satisfies Begin)
    return run
  }

  end(run: string, conclusion: Conclusion, cause: string | null = null): void {
    this.#write({ run, end: monotonicNow(), conclusion, cause } satisfies End)
  }

  #write(entry: Begin | End): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`)
  }
}

/**
 * The attempts of a journal in the order in which they began.
 * @param killedAt when workers were killed. What such a worker had in hand ended then at the latest; the time is to be taken
 *   before the signal is sent, for until then the worker did run.
 */
export function readJournal(path: string, killedAt: ReadonlyMap<string, number> = new Map()): readonly Attempt[] {
  const begun: Begin[] = []
  const ends = new Map<string, End>()
  for (const line of readFileSync(path, { encoding: 'utf8', flag: 'a+' }).split('\n')) {
    if (line === '') continue
    const entry = JSON.parse(line) as Begin | End
    if ('begin' in entry) begun.push(entry)
    else ends.set(entry.run, entry)
  }
  return begun.map((entry) => toAttempt(entry, ends.get(entry.run), killedAt)).sort((a, b) => a.begin - b.begin)
}

function toAttempt(begin: Begin, end: End | undefined, killedAt: ReadonlyMap<string, number>): Attempt {
  if (end !== undefined) return { ...begin, ...end }
  const killed = killedAt.get(begin.worker)
  if (killed === undefined) return { ...begin, end: Infinity, conclusion: 'running', cause: null }
  return { ...begin, end: Math.max(begin.begin, killed), conclusion: 'killed', cause: null }
}

/** Attempts grouped by what `keyOf` gives, each group in order; those for which it gives `null` are left out. */
export function grouped<Key>(attempts: readonly Attempt[], keyOf: (attempt: Attempt) => Key | null): Map<Key, Attempt[]> {
  const groups = new Map<Key, Attempt[]>()
  for (const attempt of attempts) {
    const key = keyOf(attempt)
    if (key === null) continue
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [attempt])
    else group.push(attempt)
  }
  return groups
}

/** How many of these attempts ran at once, at the most. */
export function mostAtOnce(attempts: readonly Attempt[]): number {
  const steps = attempts.flatMap(({ begin, end }) => [
    { at: begin, by: 1 },
    { at: end, by: -1 },
  ])
  // Within one microsecond an end comes first: the two are not told apart from one after the other.
  steps.sort((a, b) => a.at - b.at || a.by - b.by)
  let now = 0
  let most = 0
  for (const { by } of steps) {
    now += by
    most = Math.max(most, now)
  }
  return most
}
