import { OctoflowError } from '../../../errors/octoflow-error.ts'

/** What is to be known of the server behind a connection. */
export interface Server {
  readonly mariadb: boolean
  /** Whether a commit is on disk when it is acknowledged. */
  readonly durable: boolean
  /** Of the largest statement that it takes. */
  readonly packetBytes: number
  /** Compares texts character by character, spaces at the end included. */
  readonly collation: string
}

/** The oldest that know `SKIP LOCKED`, and all else that is asked of them. */
const OLDEST = { mariadb: [10, 6], mysql: [8, 0] } as const

/** What travels together comes to a million characters, of three bytes at most. */
const LEAST_PACKET_BYTES = 4 * 2 ** 20

/** @throws `database_refused` for a server that is too old or takes too little at once. */
export function checkServer([row]: readonly [readonly unknown[]]): Server {
  const [version, comment, flush, packetBytes] = row as [string, string, number, number]
  const mariadb = /mariadb/i.test(`${version} ${comment}`)
  const [major = 0, minor = 0] = version
    .replace(/^5\.5\.5-/, '')
    .split('.')
    .map((part) => Number.parseInt(part, 10))
  const [oldestMajor, oldestMinor] = mariadb ? OLDEST.mariadb : OLDEST.mysql
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor))
    throw new OctoflowError('database_refused', {
      reason: `it is ${mariadb ? 'MariaDB' : 'MySQL'} ${version}, and MariaDB 10.6 or MySQL 8.0 is the oldest that will do`,
    })
  if (packetBytes < LEAST_PACKET_BYTES)
    throw new OctoflowError('database_refused', {
      reason: `its max_allowed_packet is ${packetBytes} bytes, and ${LEAST_PACKET_BYTES} is the least that will do`,
    })
  return { mariadb, durable: flush === 1, packetBytes, collation: mariadb ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin' }
}

/** READ COMMITTED locks rows and not the gaps between them. */
export function settings(
  { mariadb, collation }: Server,
  timeouts: { readonly lockTimeoutSeconds: number; readonly statementTimeoutSeconds: number },
): string {
  const { lockTimeoutSeconds, statementTimeoutSeconds } = timeouts
  const own = mariadb
    ? // A list of a thousand ids would otherwise be made a table of and joined, by whatever plan.
      `max_statement_time = ${statementTimeoutSeconds}, in_predicate_conversion_threshold = 0`
    : `max_execution_time = ${statementTimeoutSeconds * 1_000}, information_schema_stats_expiry = 0`
  return `SET NAMES utf8mb4 COLLATE ${collation};
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET SESSION sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00', innodb_lock_wait_timeout = ${lockTimeoutSeconds},
      auto_increment_increment = 1, auto_increment_offset = 1, ${own}`
}
