import type { Command } from 'commander'
import { connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { addExamples, addJsonOption, addServerOptions, type JsonOption } from '../options.ts'
import { count, countOf } from '../output/format.ts'
import { Progress } from '../output/progress.ts'
import type { Session } from '../session.ts'
import { batches, openLines } from '../submit/payload-lines.ts'
import { wholeNumber } from '../values.ts'
import { EventIntake } from './event-intake.ts'
import { FaultFile } from './fault-file.ts'

interface Options extends ServerOptions, JsonOption {
  readonly errors?: string
  readonly fromLine: number
}

export function importCommand(events: Command, session: Session): void {
  const command = events
    .command('import')
    .argument('<file>', 'a file with an event on each line, as `events export` writes it (- for standard input)')
    .summary('store the events of a file')
    .description(
      'Store the events of a file, one on each line. A line that does not fit keeps no other from being stored; it goes with its ' +
        'number and the reason into a file beside. What is stored already is passed over, so that the same file may be imported again.',
    )
    .option('--errors <file>', 'where the lines go that do not fit (default: the file’s name and .errors.ndjson)')
    .option('--from-line <number>', 'leave out the lines before', wholeNumber(1, Number.MAX_SAFE_INTEGER), 1)
  addJsonOption(command)
  addServerOptions(command)
  addExamples(command, [
    ['octoflow events import events.ndjson', 'all of them'],
    ['octoflow events import events.ndjson --from-line 250001', 'the rest, after an interruption'],
  ])
  command.action((file: string, options: Options) => importEvents(session, file, options))
}

async function importEvents(session: Session, file: string, options: Options): Promise<void> {
  const client = await connect(session, options)
  const source = openLines(session, file)
  const { fromLine } = options
  const path = options.errors ?? `${file === '-' ? 'events' : file}.errors.ndjson`
  const faults = new FaultFile(session.host.cwd, path, file === '-' ? null : file, fromLine > 1)
  const intake = new EventIntake(client, faults)
  const progress = new Progress(session.err, { label: 'Importing', unit: 'lines', shown: options.json !== true })
  let lines = fromLine - 1
  try {
    for await (const batch of batches(source.stream)) {
      const wanted = batch.lines.filter(({ number }) => number >= fromLine)
      if (wanted.length === 0) continue
      await intake.store(wanted)
      lines = wanted.at(-1)!.number
      progress.update(lines, null, source.size === null ? null : batch.bytesRead / source.size)
    }
  } catch (error) {
    progress.end()
    throw interruption(session, error, file, lines)
  }
  progress.end()
  report(session, intake, path, options)
}

/** What to do about the rest, when the server went away or somebody pressed Ctrl-C. */
function interruption(session: Session, error: unknown, file: string, lines: number): unknown {
  const done = lines === 0 ? 'Nothing is known to be stored.' : `Lines 1 to ${lines} of ${file} are done.`
  const goOn = `The same command with --from-line ${lines + 1} imports the rest.`
  if (session.endedBy !== null) {
    session.err.line(`${done} ${goOn}`)
    return error
  }
  if (!(error instanceof CommandError)) return error
  return new CommandError(error.exitCode, `${error.message} ${done}`, goOn, { code: error.code, cause: error })
}

function report(session: Session, { stored, known, failed }: EventIntake, errors: string, { json }: Options): void {
  if (failed > 0)
    session.fail(
      new CommandError(
        ExitCode.failed,
        `${countOf(failed, 'line')} did not fit.`,
        `They stand in ${errors}, with the reasons.`,
      ),
    )
  if (json) {
    session.out.json({ stored, known, failed, errors: failed > 0 ? errors : null })
    return
  }
  const parts = [
    `${countOf(stored, 'event')} stored`,
    known > 0 ? `${count(known)} stored before` : '',
    failed > 0 ? `${countOf(failed, 'line')} that did not fit, in ${errors}` : '',
  ]
  session.out.line(`${parts.filter((part) => part !== '').join(', ')}.`)
}
