/**
 * Kills servers and workers for a long time, and looks whether anything is lost, doubled, stuck or growing.
 *
 *   npm run soak -- --minutes 30 --kills 1000 --seed 7
 *
 * It ends with 1 if a promise was broken, and writes what it found to e2e/soak/RESULTS.md.
 */
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { count } from '../crash/support/database.ts'
import { Lifetime } from '../crash/support/lifetime.ts'
import { Site } from '../crash/support/site.ts'
import { type StormCounts, storm } from '../crash/support/storm.ts'
import { deleteFinished } from './clearing.ts'
import { growth, type Measurement } from './growth.ts'
import { readOptions, type SoakOptions, USAGE } from './options.ts'
import { report } from './report.ts'
import { Witness } from './witness.ts'

const RESULTS = new URL('./RESULTS.md', import.meta.url)

const KILLS_PER_ROUND = 25

/** How often in each round the server is left alone until leases end. */
const CALMS_PER_ROUND = 1

const options = parse(process.argv.slice(2))
console.log(`Seed ${options.seed}, ${options.minutes} minutes or ${options.kills} kills.`)

const begun = performance.now()
const rounds: StormCounts[] = []
const measured: Measurement[] = []
const failures: string[] = []
let witnessed = 0
let round = 0

try {
  await using lifetime = new Lifetime()
  const site = await Site.open(lifetime)
  const witness = await Witness.open(lifetime, options.seed)
  while (minutes() < options.minutes && kills() < options.kills) {
    round++
    const journal = join(site.directory, `journal-${round}`)
    rounds.push(await storm(site, { seed: options.seed + round, ...roundSettings(), journal }))
    rmSync(journal)
    await deleteFinished(site.client)
    await witness.clear()
    measured.push(measure(site, witness))
    console.log(`Round ${round}, minute ${minutes().toFixed(1)}: ${JSON.stringify({ ...rounds.at(-1), ...measured.at(-1) })}`)
  }
  witnessed = witness.submitted
  await witness.stop()
  await site.stop()
} catch (error) {
  failures.push(`Round ${round}, seed ${options.seed + round}: ${(error as Error).message}`)
  console.error(error)
}
failures.push(...growth(measured).map((what) => `It grows without end: ${what}.`))

writeFileSync(RESULTS, report({ options, minutes: minutes(), rounds, measured, witnessed, failures }))
for (const failure of failures) console.error(failure)
console.log(failures.length === 0 ? 'Every promise was kept.' : 'The soak failed.')
process.exitCode = failures.length === 0 ? 0 : 1

function parse(args: readonly string[]): SoakOptions {
  try {
    return readOptions(args)
  } catch (error) {
    console.error(`${(error as Error).message}\nUsage: ${USAGE}`)
    process.exit(2)
  }
}

function minutes(): number {
  return (performance.now() - begun) / 60_000
}

function kills(): number {
  return rounds.reduce((sum, { serverKills }) => sum + serverKills, 0)
}

function roundSettings(): { readonly kills: number; readonly calmEvery: number } {
  const left = Math.min(KILLS_PER_ROUND, Math.ceil(options.kills - kills()))
  return { kills: left, calmEvery: Math.ceil(left / CALMS_PER_ROUND) }
}

function measure(site: Site, { serverMemory, workerMemory }: Witness): Measurement {
  return {
    file: statSync(join(site.data, 'octoflow.db')).size,
    keys: count(site.data, 'octoflow_idempotency'),
    serverMemory,
    workerMemory,
  }
}
