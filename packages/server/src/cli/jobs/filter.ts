import type { JobFilter } from '@octoflow/protocol'
import type { Command } from 'commander'
import { MILLISECOND } from '../../lib/time.ts'
import type { Query } from '../client/api-client.ts'
import { names, pastInstant } from '../values.ts'

/** Which jobs a command is about. */
export interface FilterOptions {
  readonly queue?: readonly string[]
  readonly label?: string
  readonly since?: string
  readonly until?: string
  readonly text?: string
}

/** How options say that they take names of queues. */
export const QUEUE_OPTION = 'of this queue; several with commas, or by repeating it where names hold commas'

export function addFilterOptions(command: Command): Command {
  const past = pastInstant(() => Date.now() * MILLISECOND)
  return command
    .option('-q, --queue <name>', QUEUE_OPTION, names())
    .option('--label <name[=value]>', 'with this label')
    .option('--since <time>', 'made at this time or later: 2026-11-21T10:00:00Z, or how long ago: 2h', past)
    .option('--until <time>', 'made before this time, likewise', past)
    .option('--text <text>', 'whose payload contains this text')
}

/** The filter as a list's query has it. */
export const filterQuery = ({ queue, label, since, until, text }: FilterOptions): Query => ({
  // What is given once is taken for several with commas between them.
  queue: queue?.length === 1 ? [queue[0]!, queue[0]!] : queue,
  label,
  createdFrom: since,
  createdTo: until,
  text,
})

/** The filter as an operation's body has it. */
export const filterBody = ({ queue, label, since, until, text }: FilterOptions): JobFilter => ({
  ...(queue !== undefined && { queue: [...queue] }),
  ...(label !== undefined && { label }),
  ...(since !== undefined && { createdFrom: since }),
  ...(until !== undefined && { createdTo: until }),
  ...(text !== undefined && { text }),
})
