import { writeFileSync } from 'node:fs'
import { RECOVERY_SECONDS, WELL } from '../crash/support/recovery.ts'
import { type SharedStormCounts, sharedStorm } from '../crash/support/shared-storm.ts'
import { DATABASES, type DatabaseName } from '../support/database-server.ts'
import { circumstances, number, table, today, verdict } from './markdown.ts'
import type { SoakOptions } from './options.ts'

type SharedSoakOptions = SoakOptions & { readonly database: DatabaseName }

/** Kills servers that share a database, workers and the database, in one storm. @returns what went wrong, in words. */
export async function soakSharedDatabase(options: SharedSoakOptions): Promise<readonly string[]> {
  const { install, name, begin } = DATABASES[options.database]
  if (install !== null) return [`${name} is not installed: ${install}`]
  const failures: string[] = []
  let counts: SharedStormCounts | null = null
  try {
    await using database = await begin()
    counts = await sharedStorm(database, { seed: options.seed, seconds: options.minutes * 60 })
    console.log(JSON.stringify(counts))
    const slowest = Math.max(...counts.recoverySeconds)
    if (slowest > RECOVERY_SECONDS) failures.push(`It took ${slowest} s until jobs were completed as fast as before.`)
  } catch (error) {
    failures.push((error as Error).message)
    console.error(error)
  }
  writeFileSync(new URL(`./RESULTS-${options.database}.md`, import.meta.url), report(options, counts, failures))
  return failures
}

function report(
  { database, minutes, seed }: SharedSoakOptions,
  counts: SharedStormCounts | null,
  failures: readonly string[],
): string {
  return `# What the soak found on ${DATABASES[database].name}

Made by \`npm run soak -- --database ${database} --minutes ${minutes} --seed ${seed}\` on ${today()}.

${verdict(failures)}

${circumstances(DATABASES[database].name)}

Three servers on one database, a balancer before them and eight workers with four slots each behind that. Every second one of
the eleven is killed with SIGKILL and replaced, while six clients submit to the capture and the native API; meanwhile the
database is restarted twice, once as if the power had been cut and once in order. Then all jobs have to come to an end, and
what was promised is checked: no acknowledged request is lost, none repeated under an idempotency key is doubled, no job runs
beside itself or beyond the limit of its concurrency key, and none is completed twice or by any but its last attempt. See
\`e2e/crash/support/verify.ts\`.
${counts === null ? '' : `\n${rows(counts, minutes)}\n`}`
}

const rows = (counts: SharedStormCounts, minutes: number): string =>
  table([
    [`In ${minutes} minutes`, ''],
    ['Servers killed', number(counts.serverKills)],
    ['Workers killed', number(counts.workerKills)],
    ['Jobs asked for', number(counts.wanted)],
    ['Jobs made and brought to an end', number(counts.jobs)],
    ['Attempts begun', number(counts.attempts)],
    ['Attempts cut off by the death of their worker', number(counts.cutOff)],
    ['Done again because the worker died before it could say that they were done', number(counts.doneTwice)],
    ['Calls repeated under an idempotency key', number(counts.retries)],
    ['Calls without such a key whose answer was lost', number(counts.lostAnswers)],
    ['Jobs completed in a second before the database was restarted', number(Math.round(counts.perSecond))],
    ...counts.recoverySeconds.map((seconds, index) => [
      `From restart ${index + 1} of the database until they were at least ${WELL * 100} % of that again`,
      `${seconds.toFixed(1)} s`,
    ]),
    ['From when all was whole again until all jobs had ended', `${counts.settledSeconds.toFixed(1)} s`],
  ])
