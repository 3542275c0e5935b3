import type { Command } from 'commander'
import { addExamples } from '../options.ts'
import type { Session } from '../session.ts'
import { exportCommand } from './export.ts'
import { importCommand } from './import.ts'
import { tailCommand } from './tail.ts'

export function eventsCommand(events: Command, session: Session): void {
  events.description('Import, export and follow log events of other systems.')
  for (const define of [importCommand, exportCommand, tailCommand]) define(events, session)
  addExamples(events, [
    ['octoflow events import events.ndjson', 'store the events of a file, one on each line'],
    ['octoflow events export --type user > users.ndjson', 'and write them to one'],
    ['octoflow events tail --location europe', 'follow what is stored'],
  ])
}
