import type { Command } from 'commander'
import { MILLISECOND } from '../../lib/time.ts'
import type { Query } from '../client/api-client.ts'
import { pastInstant } from '../values.ts'

/** Which events a command is about. */
export interface EventFilterOptions {
  readonly type?: string
  readonly since?: string
  readonly until?: string
  readonly username?: string
  readonly email?: string
  readonly systemId?: string
  readonly location?: string
  readonly operation?: string
}

export function addEventFilterOptions(command: Command): Command {
  const past = pastInstant(() => Date.now() * MILLISECOND)
  return command
    .option('--type <name>', 'of this type')
    .option('--since <time>', 'that happened at this time or later: 2026-11-21T10:00:00Z, or how long ago: 2h', past)
    .option('--until <time>', 'that happened before this time, likewise', past)
    .option('--username <text>', 'with this username')
    .option('--email <address>', 'with this address')
    .option('--system-id <text>', 'of this system')
    .option('--location <text>', 'with this location')
    .option('--operation <text>', 'of this operation')
}

export const eventQuery = ({
  systemId,
  type,
  since,
  until,
  username,
  email,
  location,
  operation,
}: EventFilterOptions): Query => ({
  type,
  since,
  until,
  username,
  email,
  system_id: systemId,
  location,
  operation,
})
