/**
 * Counts the commits of this process. In SQLite's WAL mode with `synchronous = FULL` each syncs the log once; checkpoints,
 * of which there is one for some 8 MB of log, sync beside that and are not counted. Counting the system calls themselves
 * would slow the server down, and a slower one puts more writes into each commit.
 *
 * A process that is started with `--import` of this file answers every message with the number so far.
 */
import { DatabaseSync } from 'node:sqlite'
import { isMainThread } from 'node:worker_threads'

let counted = 0

/** So far, by all connections of this thread. */
export const commits = (): number => counted

const prepare = DatabaseSync.prototype.prepare
DatabaseSync.prototype.prepare = function (...args) {
  const statement = prepare.apply(this, args)
  // Only this one statement is wrapped, so that the measured code is otherwise what it is without.
  if (args[0] !== 'COMMIT') return statement
  const run = statement.run.bind(statement)
  statement.run = () => {
    counted++
    return run()
  }
  return statement
}

if (isMainThread && process.send !== undefined) {
  process.on('message', () => process.send!(counted))
  // Being asked is no reason to live on.
  process.channel!.unref()
}
