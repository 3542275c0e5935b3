import { statSync } from 'node:fs'
import type { Command } from 'commander'
import { type Database, MEMORY } from '../../config/database-url.ts'
import { loadConfig } from '../../config/load.ts'
import { addConfigFlags, readConfigFlags } from '../config-flags.ts'
import { addExamples, addJsonOption, type JsonOption } from '../options.ts'
import { bytes } from '../output/format.ts'
import type { Session } from '../session.ts'
import { nameOf, withStorage } from './open.ts'

export function statusCommand(db: Command, session: Session): void {
  const command = db
    .command('status')
    .summary('which database, and what state it is in')
    .description('Show which database the configuration names, the version of its schema and its size. Changes nothing.')
  addJsonOption(command)
  addConfigFlags(command.optionsGroup('As `octoflow serve` takes them:'))
  addExamples(command, [['octoflow db status --database-url postgres://me@db/octoflow', 'of another database']])
  command.action((options: JsonOption) => status(session, options))
}

async function status(session: Session, options: JsonOption): Promise<void> {
  const { host, out } = session
  const { config } = await loadConfig({ env: host.env, cwd: host.cwd, ...readConfigFlags({ ...options }) })
  const { database } = config
  const found = exists(database) ? await look(session, database) : null
  if (options.json) return out.json({ database: nameOf(database), ...(found ?? { schema: null }) })
  out.line(`database  ${nameOf(database)}`)
  if (found === null) return out.line('schema    none yet; it is made at the first start')
  const { version, latest } = found.schema
  const behind = version < latest ? `, ${latest} after the next start or \`octoflow db migrate\`` : ''
  out.line(`schema    version ${version}${behind}`)
  if (found.bytes !== null) out.line(`size      ${bytes(found.bytes)}`)
  if (found.copyOf !== null) out.line(`copy      unfinished, of ${found.copyOf}; \`octoflow db copy\` goes on with it`)
}

const look = (session: Session, database: Database) =>
  withStorage(
    session,
    database,
    async (storage) => {
      const schema = await storage.migrations.status()
      if (schema.version < schema.latest) return { schema, bytes: null, copyOf: null }
      const [size, copy] = await Promise.all([storage.upkeep.size(), storage.transfer.unfinished()])
      return { schema, bytes: size.bytes, copyOf: copy?.source ?? null }
    },
    { beside: true },
  )

/** To look for an embedded database must not make one. */
export const exists = ({ driver, url }: Database): boolean =>
  driver !== 'sqlite' || url === MEMORY || statSync(url, { throwIfNoEntry: false }) !== undefined
