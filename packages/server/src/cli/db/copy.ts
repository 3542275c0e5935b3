import { type Command, InvalidArgumentError } from 'commander'
import { compileDatabase, type Database, databaseUrl, MEMORY } from '../../config/database-url.ts'
import { copyAll } from '../../core/transfer/copy.ts'
import { type Digest, digestOf } from '../../core/transfer/digest.ts'
import { OctoflowError } from '../../errors/octoflow-error.ts'
import { SystemClock } from '../../lib/clock.ts'
import type { Storage } from '../../storage/contract/storage.ts'
import { RECORD_KINDS, type RecordKind } from '../../storage/contract/transfer.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { addExamples, addJsonOption, type JsonOption } from '../options.ts'
import { complain } from '../output/complain.ts'
import { count } from '../output/format.ts'
import { Progress } from '../output/progress.ts'
import type { Session } from '../session.ts'
import { alone, nameOf, withStorage } from './open.ts'
import { exists } from './status.ts'

interface Options extends JsonOption {
  readonly from: Database
  readonly to: Database
}

export function copyCommand(db: Command, session: Session): void {
  const command = db
    .command('copy')
    .summary('copy everything into another database')
    .description(
      'Copy everything from one database into another, empty one, and compare what both hold. No server may use either ' +
        'meanwhile. A copy that was interrupted is finished by the same command.',
    )
    .requiredOption('--from <url>', 'the database to copy, which is left as it is', url(session))
    .requiredOption('--to <url>', 'the empty database to fill', url(session))
  addJsonOption(command)
  addExamples(command, [
    ['octoflow db copy --from sqlite:data/octoflow.db --to postgres://me:secret@db/octoflow', 'move to PostgreSQL'],
    ['octoflow db copy --from postgres://me@db/octoflow --to sqlite:backup.db', 'and back into a file'],
  ])
  command.action((options: Options) => copy(session, options))
}

/** As `database.url` of the configuration, but paths begin where the command is run. */
const url =
  ({ host }: Session) =>
  (text: string): Database => {
    const database = databaseUrl.check(text)
    if (database !== undefined && database.url !== MEMORY) return compileDatabase(database, host.cwd)
    throw new InvalidArgumentError(`It must be ${databaseUrl.expected}.`)
  }

async function copy(session: Session, { from, to, json = false }: Options): Promise<void> {
  if (!exists(from))
    throw new CommandError(ExitCode.notFound, `There is no ${nameOf(from)}.`, 'Name the database to copy with --from.')
  if (from.driver === to.driver && from.url === to.url)
    throw new CommandError(ExitCode.usage, '--from and --to name the same database.', 'Name another, empty one with --to.')
  await withStorage(session, from, (source) =>
    withStorage(session, to, async (target) => {
      await checkSchema(from, source)
      await target.migrations.migrate({ now: new SystemClock().now() })
      await alone(from, source, () => alone(to, target, () => copyAndCompare(session, { from, source, to, target, json })))
    }),
  )
}

async function checkSchema(database: Database, { migrations }: Storage): Promise<void> {
  const { version, latest } = await migrations.status()
  if (version > latest) throw new OctoflowError('schema_newer', { found: version, known: latest })
  if (version < latest) throw new OctoflowError('schema_older', { database: nameOf(database), found: version, needed: latest })
}

interface Copying {
  readonly from: Database
  readonly source: Storage
  readonly to: Database
  readonly target: Storage
  readonly json: boolean
}

async function copyAndCompare(session: Session, { from, source, to, target, json }: Copying): Promise<void> {
  const { signal, err, out } = session
  const clock = new SystemClock()
  const progress = new Progress(err, { label: 'Copying', unit: 'records', shown: !json })
  const complete = await copyAll(source, target, {
    now: () => clock.now(),
    source: nameOf(from),
    signal,
    onProgress: (done, total) => progress.update(done, total),
  }).finally(() => progress.end())
  const kinds = complete ? await compare(session, source, target, json) : null
  if (kinds === null) return complain(session, INTERRUPTED)
  const equal = kinds.every((kind) => kind.equal)
  // No server is to start on a copy that differs.
  if (equal) await target.transfer.finish()
  if (json) out.json({ from: nameOf(from), to: nameOf(to), equal, kinds })
  else report(session, kinds)
  if (equal) {
    if (!json) out.line(`All is copied and equal. Start the servers with DATABASE_URL=${nameOf(to)}`)
    return
  }
  throw new CommandError(
    ExitCode.failed,
    'The copy differs from its source.',
    'Was either used meanwhile? Empty the database that was filled, and copy once more.',
  )
}

const INTERRUPTED = new CommandError(
  ExitCode.interrupted,
  'The copy was interrupted.',
  'The same command goes on where it stopped; until it has ended, no server starts on the database that is filled.',
  { code: 'interrupted' },
)

interface Compared extends Digest {
  readonly kind: RecordKind
  readonly equal: boolean
  readonly copied: Digest
}

/** Reads both databases once more, in full. @returns `null` when it was interrupted. */
async function compare({ err, signal }: Session, source: Storage, target: Storage, json: boolean): Promise<Compared[] | null> {
  const progress = new Progress(err, { label: 'Comparing', unit: 'records', shown: !json })
  const total = 2 * Object.values(await source.transfer.count()).reduce((sum, count) => sum + count, 0)
  let done = 0
  const onRecords = (more: number): void => {
    done += more
    progress.update(done, total)
  }
  const compared: Compared[] = []
  for (const kind of RECORD_KINDS) {
    const digest = await digestOf(source, kind, signal, onRecords)
    const copied = await digestOf(target, kind, signal, onRecords)
    if (signal.aborted) return null
    compared.push({ kind, ...digest, copied, equal: digest.count === copied.count && digest.checksum === copied.checksum })
  }
  progress.end()
  return compared
}

function report({ out }: Session, kinds: readonly Compared[]): void {
  for (const { kind, count: number, checksum, equal, copied } of kinds) {
    const difference = equal ? '' : `  ${out.paint('red', `differs: ${count(copied.count)}, ${copied.checksum}`)}`
    out.line(`${kind.padEnd(12)} ${count(number).padStart(12)}  ${checksum}${difference}`)
  }
}
