import { parseArgs } from 'node:util'
import { chooseSeed } from '../crash/support/seed.ts'

export interface SoakOptions {
  readonly minutes: number
  /** Of servers; the soak ends with the round in which so many have been reached, or the time is up. */
  readonly kills: number
  readonly seed: number
}

export const USAGE = 'npm run soak -- [--minutes 30] [--kills 1000] [--seed N]'

/** @throws with what does not fit. */
export function readOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { minutes: { type: 'string' }, kills: { type: 'string' }, seed: { type: 'string' } },
  })
  return {
    minutes: positive('--minutes', values.minutes ?? '30'),
    kills: positive('--kills', values.kills ?? '1000'),
    seed: values.seed === undefined ? chooseSeed() : positive('--seed', values.seed),
  }
}

function positive(flag: string, text: string): number {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`${flag} must be a number above 0, not ${text}.`)
  return value
}
