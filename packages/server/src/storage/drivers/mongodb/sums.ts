import type { StatsSums } from '../../contract/stats.ts'

/** Sums as they are added up. */
export type Sums = { -readonly [Name in keyof StatsSums]: StatsSums[Name] }

export const noSums = (): Sums => ({
  submitted: 0,
  started: 0,
  completed: 0,
  failed: 0,
  dead: 0,
  cancelled: 0,
  expired: 0,
  waited: 0,
  ran: 0,
  finished: 0,
})

const NAMES = Object.keys(noSums()) as (keyof Sums)[]

export function addSums(to: Sums, from: StatsSums): void {
  for (const name of NAMES) to[name] += from[name]
}
