import type { Command } from 'commander'
import { addExamples } from '../options.ts'
import type { Session } from '../session.ts'
import { cancelCommand } from './cancel.ts'
import { deleteCommand } from './delete.ts'
import { editCommand } from './edit.ts'
import { eventsCommand } from './events.ts'
import { listCommand } from './list.ts'
import { retryCommand } from './retry.ts'
import { showCommand } from './show.ts'
import { tailCommand } from './tail.ts'
import { whyCommand } from './why.ts'

export function jobsCommand(jobs: Command, session: Session): void {
  for (const define of [
    listCommand,
    showCommand,
    whyCommand,
    eventsCommand,
    tailCommand,
    cancelCommand,
    retryCommand,
    editCommand,
    deleteCommand,
  ])
    define(jobs, session)
  addExamples(jobs, [
    ['octoflow jobs list --state dead', 'what went wrong'],
    ['octoflow jobs show last', 'the newest job, its result and its timeline'],
  ])
}
