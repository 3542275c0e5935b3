import type { Command } from 'commander'
import { addExamples } from '../options.ts'
import type { Session } from '../session.ts'
import { abortCommand } from './abort.ts'
import { listCommand } from './list.ts'
import { showCommand } from './show.ts'

export function operationsCommand(operations: Command, session: Session): void {
  operations.description('Follow and abort operations, each of which acts on many jobs in the server.')
  for (const define of [listCommand, showCommand, abortCommand]) define(operations, session)
  addExamples(operations, [['octoflow operations show 3 --follow', 'until it has ended']])
}
