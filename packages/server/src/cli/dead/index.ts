import type { Command } from 'commander'
import { addExamples } from '../options.ts'
import type { Session } from '../session.ts'
import { listCommand } from './list.ts'
import { replayCommand } from './replay.ts'
import { showCommand } from './show.ts'

export function deadCommand(dead: Command, session: Session): void {
  dead.description('Look at dead letters, the jobs that ended badly, and run them again.')
  for (const define of [listCommand, showCommand, replayCommand]) define(dead, session)
  addExamples(dead, [
    ['octoflow dead list', 'why they died'],
    ['octoflow dead replay --all -q emails', 'run all of a queue again'],
  ])
}
