import type { Command } from 'commander'
import { addExamples } from '../options.ts'
import type { Session } from '../session.ts'
import { drainCommand, resumeCommand } from './drain.ts'
import { listCommand } from './list.ts'

export function workersCommand(workers: Command, session: Session): void {
  for (const define of [listCommand, drainCommand, resumeCommand]) define(workers, session)
  addExamples(workers, [['octoflow workers list', 'who works for which queues']])
}
