/** The figures of several runs of one candidate. */
export interface Figures {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const figuresOf = (values: readonly number[]): Figures => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
})

/** @param share 0.5 for the median, 0.99 for the 99th percentile. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
}

/**
 * Runs candidates in turn, A B A B …, after a warm-up of each, so that what the machine does meanwhile befalls all alike.
 * @returns what each run gave, by candidate.
 */
export async function alternate<Candidates extends Readonly<Record<string, () => Promise<unknown>>>>(
  candidates: Candidates,
  runs: number,
): Promise<{ readonly [Name in keyof Candidates]: Awaited<ReturnType<Candidates[Name]>>[] }> {
  const names = Object.keys(candidates)
  const results: Record<string, unknown[]> = Object.fromEntries(names.map((name) => [name, []]))
  for (const name of names) await candidates[name]!()
  for (let run = 0; run < runs; run++) {
    for (const name of names) {
      results[name]!.push(await candidates[name]!())
      process.stdout.write('.')
    }
  }
  process.stdout.write('\n')
  return results as { readonly [Name in keyof Candidates]: Awaited<ReturnType<Candidates[Name]>>[] }
}

/** The ratio of each pair of runs that stood side by side. */
export const ratios = (ours: readonly number[], theirs: readonly number[]): Figures =>
  figuresOf(ours.map((value, index) => value / theirs[index]!))
