import type { Command } from 'commander'
import { addExamples } from '../options.ts'
import type { Session } from '../session.ts'
import { listCommand } from './list.ts'
import { pauseCommand, resumeCommand } from './pause.ts'
import { setCommand } from './set.ts'
import { showCommand } from './show.ts'

export function queuesCommand(queues: Command, session: Session): void {
  for (const define of [listCommand, showCommand, pauseCommand, resumeCommand, setCommand]) define(queues, session)
  addExamples(queues, [
    ['octoflow queues list', 'how many jobs are in which state'],
    ['octoflow queues set emails --concurrency 4', 'four at once'],
  ])
}
