import type { Command } from 'commander'
import { addExamples } from '../options.ts'
import type { Session } from '../session.ts'
import { createCommand } from './create.ts'
import { deleteCommand } from './delete.ts'
import { listCommand } from './list.ts'
import { rotateCommand } from './rotate.ts'

export function keysCommand(keys: Command, session: Session): void {
  for (const define of [listCommand, createCommand, rotateCommand, deleteCommand]) define(keys, session)
  addExamples(keys, [['octoflow keys create shop --role producer -q orders', 'may submit to one queue']])
}
