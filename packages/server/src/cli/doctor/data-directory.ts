import { mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from '../../config/compile.ts'
import { humanDuration, MILLISECOND } from '../../lib/time.ts'
import { bytes } from '../output/format.ts'
import { type Finding, ok, problem, reasonOf, warning } from './finding.ts'

const CHECK = 'data directory'

const SPACE_LOW = 1024 ** 3
const SPACE_CRITICAL = 128 * 1024 ** 2

/** Clocks that differ by less than this may be the same. */
const CLOCK_NOISE_MS = 2_000

/** Looks at the data directory, and at the clock as its files tell it. */
export function* checkDataDirectory({ paths: { data } }: Config): Generator<Finding> {
  const directory = nearestExisting(data)
  const made = directory === data ? '' : ' (made at the first start)'
  try {
    if (!statSync(directory).isDirectory()) throw new Error(`${directory} is not a directory`)
    // Permissions do not tell whether the file system can be written to; writing does.
    const probe = mkdtempSync(join(directory, '.octoflow-doctor-'))
    const writtenAt = statSync(probe).mtimeMs
    rmSync(probe, { recursive: true })
    const { bavail, bsize } = statfsSync(directory)
    yield spaceFinding(data + made, bavail * bsize)
    yield clockFinding(writtenAt)
  } catch (error) {
    yield problem(
      CHECK,
      `${data} cannot be used: ${reasonOf(error)}.`,
      'Make it a directory that the user running the server can write to, or name another with --data.',
    )
  }
}

function nearestExisting(path: string): string {
  for (let at = path; ; at = dirname(at))
    if (statSync(at, { throwIfNoEntry: false }) !== undefined || at === dirname(at)) return at
}

function spaceFinding(path: string, free: number): Finding {
  const message = `${path}, ${bytes(free)} free`
  if (free >= SPACE_LOW) return ok(CHECK, message)
  const hint = 'Free some space, or set a retention (jobs.retentionDays, or `octoflow queues set QUEUE --retention-days N`).'
  return free < SPACE_CRITICAL ? problem(CHECK, `${message}: too little.`, hint) : warning(CHECK, `${message}: not much.`, hint)
}

function clockFinding(writtenAt: number): Finding {
  const difference = Math.abs(Date.now() - writtenAt)
  if (difference < CLOCK_NOISE_MS) return ok('clock', 'agrees with that of the file system')
  return warning(
    'clock',
    `differs from that of the file system by ${humanDuration(difference * MILLISECOND)}.`,
    'Let both clocks be kept by NTP; otherwise times in the database and of its files do not compare.',
  )
}
