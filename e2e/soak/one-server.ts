import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { count } from '../crash/support/database.ts'
import { Lifetime } from '../crash/support/lifetime.ts'
import { Site } from '../crash/support/site.ts'
import { type StormCounts, storm } from '../crash/support/storm.ts'
import { deleteFinished } from './clearing.ts'
import { growth, type Measurement } from './growth.ts'
import type { SoakOptions } from './options.ts'
import { report } from './report.ts'
import { Witness } from './witness.ts'

const RESULTS = new URL('./RESULTS.md', import.meta.url)

const KILLS_PER_ROUND = 25

/** How often in each round the server is left alone until leases end. */
const CALMS_PER_ROUND = 1

/** Kills a server on SQLite and its workers, round after round. @returns what went wrong, in words. */
export async function soakOneServer(options: SoakOptions): Promise<readonly string[]> {
  const begun = performance.now()
  const minutes = (): number => (performance.now() - begun) / 60_000
  const rounds: StormCounts[] = []
  const measured: Measurement[] = []
  const failures: string[] = []
  let witnessed = 0
  let round = 0

  try {
    await using lifetime = new Lifetime()
    const site = await Site.open(lifetime)
    const witness = await Witness.open(lifetime, options.seed)
    while (minutes() < options.minutes && kills(rounds) < options.kills) {
      round++
      const journal = join(site.directory, `journal-${round}`)
      const settings = roundSettings(options.kills - kills(rounds))
      rounds.push(await storm(site, { seed: options.seed + round, ...settings, journal }))
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
  return failures
}

const kills = (rounds: readonly StormCounts[]): number => rounds.reduce((sum, { serverKills }) => sum + serverKills, 0)

/** @param left how many servers are still to be killed. */
function roundSettings(left: number): { readonly kills: number; readonly calmEvery: number } {
  const kills = Math.min(KILLS_PER_ROUND, Math.ceil(left))
  return { kills, calmEvery: Math.ceil(kills / CALMS_PER_ROUND) }
}

function measure(site: Site, { serverMemory, workerMemory }: Witness): Measurement {
  return {
    file: statSync(join(site.data, 'octoflow.db')).size,
    keys: count(site.data, 'octoflow_idempotency'),
    serverMemory,
    workerMemory,
  }
}
