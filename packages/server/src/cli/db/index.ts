import type { Command } from 'commander'
import { addExamples } from '../options.ts'
import type { Session } from '../session.ts'
import { copyCommand } from './copy.ts'
import { migrateCommand } from './migrate.ts'
import { statusCommand } from './status.ts'

export function dbCommand(db: Command, session: Session): void {
  for (const define of [statusCommand, migrateCommand, copyCommand]) define(db, session)
  addExamples(db, [
    ['octoflow db status', 'which database, which version of the schema, how large'],
    ['octoflow db copy --from sqlite:data/octoflow.db --to postgres://me@db/octoflow', 'move to PostgreSQL'],
  ])
}
