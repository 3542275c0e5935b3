import { parseArgs } from 'node:util'
import { chooseSeed } from '../crash/support/seed.ts'
import { DATABASES, type DatabaseName } from '../support/database-server.ts'

export interface SoakOptions {
  /** What several servers share; `sqlite` has one server at a time. */
  readonly database: 'sqlite' | DatabaseName
  readonly minutes: number
  /** Of servers on SQLite; the soak ends with the round in which so many have been reached, or the time is up. */
  readonly kills: number
  readonly seed: number
}

const NAMES: readonly SoakOptions['database'][] = ['sqlite', ...(Object.keys(DATABASES) as DatabaseName[])]

export const USAGE = `npm run soak -- [--database ${NAMES.join('|')}] [--minutes 30] [--kills 1000] [--seed N]`

/** @throws with what does not fit. */
export function readOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { database: { type: 'string' }, minutes: { type: 'string' }, kills: { type: 'string' }, seed: { type: 'string' } },
  })
  return {
    database: readDatabase(values.database ?? 'sqlite'),
    minutes: positive('--minutes', values.minutes ?? '30'),
    kills: positive('--kills', values.kills ?? '1000'),
    seed: values.seed === undefined ? chooseSeed() : positive('--seed', values.seed),
  }
}

function readDatabase(text: string): SoakOptions['database'] {
  const name = NAMES.find((known) => known === text)
  if (name === undefined) throw new Error(`--database must be one of ${NAMES.join(', ')}, not ${text}.`)
  return name
}

function positive(flag: string, text: string): number {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`${flag} must be a number above 0, not ${text}.`)
  return value
}
