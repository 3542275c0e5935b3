/**
 * Kills servers and workers for a long time, and looks whether anything is lost, doubled, stuck or growing.
 *
 *   npm run soak -- --minutes 30 --kills 1000 --seed 7
 *   npm run soak -- --database postgres --minutes 2
 *
 * It ends with 1 if a promise was broken, and writes what it found to e2e/soak/RESULTS.md or RESULTS-postgres.md.
 */
import { readOptions, type SoakOptions, USAGE } from './options.ts'

const options = parse(process.argv.slice(2))
console.log(
  `Seed ${options.seed}, ${options.minutes} minutes${options.database === 'sqlite' ? ` or ${options.kills} kills` : ''}.`,
)

const failures = await soak(options)
for (const failure of failures) console.error(failure)
console.log(failures.length === 0 ? 'Every promise was kept.' : 'The soak failed.')
process.exitCode = failures.length === 0 ? 0 : 1

async function soak({ database, ...rest }: SoakOptions): Promise<readonly string[]> {
  if (database === 'sqlite') return (await import('./one-server.ts')).soakOneServer({ database, ...rest })
  return (await import('./shared-database.ts')).soakSharedDatabase({ database, ...rest })
}

function parse(args: readonly string[]): SoakOptions {
  try {
    return readOptions(args)
  } catch (error) {
    console.error(`${(error as Error).message}\nUsage: ${USAGE}`)
    process.exit(2)
  }
}
