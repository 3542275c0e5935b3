import { mkdtempSync, rmSync, type Stats, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from '../../config/compile.ts'
import { isMissing } from '../../config/text-file.ts'
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
  try {
    const { directory, writtenAt } = writeInto(data)
    const { bavail, bsize } = statfsSync(directory)
    yield spaceFinding(directory === data ? data : `${data} (made at the first start)`, bavail * bsize)
    yield clockFinding(writtenAt)
  } catch (error) {
    yield problem(
      CHECK,
      `${data} cannot be used: ${reasonOf(error)}.`,
      'Make it a directory that the user running the server can write to, or name another with --data.',
    )
  }
}

/** Why a start cannot make a file in this directory, nor the directory if there is none; `null` if it can. */
export function whyUnwritable(directory: string): string | null {
  try {
    writeInto(directory)
    return null
  } catch (error) {
    return reasonOf(error)
  }
}

/**
 * Writes into the directory, or the nearest above it that is there, and takes that away again: permissions do not tell
 * whether a file system can be written to.
 * @returns that directory, and when this was by the clock of the file system.
 */
function writeInto(path: string): { readonly directory: string; readonly writtenAt: number } {
  const directory = nearestExisting(path)
  if (!statSync(directory).isDirectory()) throw new Error(`${directory} is not a directory`)
  const probe = mkdtempSync(join(directory, '.octoflow-doctor-'))
  const writtenAt = statSync(probe).mtimeMs
  rmSync(probe, { recursive: true })
  return { directory, writtenAt }
}

function nearestExisting(path: string): string {
  for (let at = path; ; at = dirname(at)) if (existing(at) !== null || at === dirname(at)) return at
}

/** What is there; `null` if nothing is, or can be since a file stands in its way. */
export function existing(path: string): Stats | null {
  try {
    return statSync(path)
  } catch (error) {
    if (isMissing((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
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
