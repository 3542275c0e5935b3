import type { Command } from 'commander'
import { loadConfig } from '../../config/load.ts'
import { SystemClock } from '../../lib/clock.ts'
import { addConfigFlags, readConfigFlags } from '../config-flags.ts'
import { addExamples, addJsonOption, type JsonOption } from '../options.ts'
import type { Session } from '../session.ts'
import { nameOf, withStorage } from './open.ts'

export function migrateCommand(db: Command, session: Session): void {
  const command = db
    .command('migrate')
    .summary('bring the schema up to date')
    .description(
      'Bring the schema of the database up to date, as the start of a server does. For those who do it apart from the start, ' +
        'with a user that may change tables.',
    )
  addJsonOption(command)
  addConfigFlags(command.optionsGroup('As `octoflow serve` takes them:'))
  addExamples(command, [['octoflow db migrate --database-url postgres://owner@db/octoflow', 'before the servers are started']])
  command.action((options: JsonOption) => migrate(session, options))
}

async function migrate(session: Session, options: JsonOption): Promise<void> {
  const { host, out } = session
  const { config } = await loadConfig({ env: host.env, cwd: host.cwd, ...readConfigFlags({ ...options }) })
  const { database } = config
  const { applied, version } = await withStorage(session, database, async ({ migrations }) => ({
    applied: await migrations.migrate({ now: new SystemClock().now() }),
    version: (await migrations.status()).version,
  }))
  if (options.json) return out.json({ database: nameOf(database), applied, version })
  const done = applied.length === 0 ? 'was up to date already' : `is up to date (applied ${applied.join(', ')})`
  out.line(`The schema of ${nameOf(database)} ${done}: version ${version}.`)
}
