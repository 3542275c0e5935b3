import { randomUUID } from 'node:crypto'
import { connect } from '../client/api-client.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { countOf } from '../output/format.ts'
import { Progress } from '../output/progress.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'
import { LineIntake } from './line-intake.ts'
import { batches, openLines } from './payload-lines.ts'
import { jobSettings, type SubmitOptions } from './settings.ts'

/** Submits a job for every line of a file; a line that does not fit keeps no other from being submitted. */
export async function submitLines(session: Session, queue: string, file: string, options: SubmitOptions): Promise<void> {
  const { err } = session
  const client = await connect(session, options)
  const source = openLines(session, file)
  const progress = new Progress(err, { label: 'Submitting', unit: 'lines', shown: options.json !== true })
  const intake = new LineIntake(client, {
    settings: jobSettings(queue, options),
    idempotencyKey: options.idempotencyKey ?? randomUUID(),
    onFault({ line, message }) {
      if (options.json) return
      progress.end()
      err.line(`line ${line}: ${oneLine(message)}`)
    },
  })
  let lines = 0
  try {
    for await (const batch of batches(source.stream)) {
      await intake.submit(batch.lines)
      lines = batch.lines.at(-1)!.number
      progress.update(lines, null, source.size === null ? null : batch.bytesRead / source.size)
    }
  } catch (error) {
    progress.end()
    if (options.json) printCounts(session, queue, intake)
    throw interruption(session, error, { file, lines, key: intake.idempotencyKey })
  }
  progress.end()
  report(session, queue, intake, options)
}

/** What to do about the rest, when the server went away or somebody pressed Ctrl-C. */
function interruption(
  session: Session,
  error: unknown,
  { file, lines, key }: { readonly file: string; readonly lines: number; readonly key: string },
): unknown {
  const goOn = `The same command with --idempotency-key ${key} submits the rest, and nothing twice.`
  const done = lines === 0 ? 'Nothing is known to be submitted.' : `Lines 1 to ${lines} of ${file} were submitted.`
  if (session.endedBy !== null) {
    session.err.line(`${done} ${goOn}`)
    return error
  }
  if (!(error instanceof CommandError)) return error
  return new CommandError(error.exitCode, `${error.message} ${done}`, goOn, { code: error.code, cause: error })
}

function report(session: Session, queue: string, intake: LineIntake, { json }: SubmitOptions): void {
  const { out } = session
  const { created, repeated, existing, faults } = intake
  if (faults.length > 0)
    session.fail(
      new CommandError(ExitCode.failed, `${countOf(faults.length, 'line')} failed.`, 'The member failed names each of them.'),
    )
  if (json) {
    printCounts(session, queue, intake)
    return
  }
  const parts = [
    `${countOf(created, 'job')} submitted to ${oneLine(queue)}`,
    repeated > 0 ? `${countOf(repeated, 'line')} submitted before` : '',
    existing > 0 ? `${countOf(existing, 'line')} held back by the unique key` : '',
    faults.length > 0 ? `${countOf(faults.length, 'line')} failed` : '',
  ]
  out.line(`${parts.filter((part) => part !== '').join(', ')}.`)
}

function printCounts({ out }: Session, queue: string, { created, repeated, existing, faults, ids }: LineIntake): void {
  out.json({ queue, created, repeated, existing, failed: faults, ids })
}
