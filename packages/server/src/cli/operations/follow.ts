import { setTimeout as pause } from 'node:timers/promises'
import type { Operation } from '@octoflow/protocol'
import type { ApiClient } from '../client/api-client.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import type { JsonOption } from '../options.ts'
import { count, countOf } from '../output/format.ts'
import { Progress } from '../output/progress.ts'
import type { Session } from '../session.ts'

const LOOK_EVERY_MS = 200

interface FollowOptions {
  /** How many jobs it will come by; `null` where that is not known. */
  readonly total: number | null
  readonly json: boolean | undefined
}

/** Waits until an operation has ended. Ctrl-C ends the waiting, not the operation. */
export async function followOperation(
  session: Session,
  client: ApiClient,
  operation: Operation,
  { total, json }: FollowOptions,
): Promise<Operation> {
  const { err, signal } = session
  const progress = new Progress(err, { label: LABELS[operation.action as keyof typeof LABELS], unit: 'jobs', shown: !json })
  let current = operation
  try {
    while (current.state === 'running') {
      progress.update(current.examined, total)
      await pause(LOOK_EVERY_MS, undefined, { signal })
      current = (await client.get<Operation>(`/operations/${operation.id}`)).value
    }
    return current
  } catch (error) {
    progress.end()
    const { id } = operation
    if (signal.aborted)
      err.line(
        `Operation ${id} goes on in the server. \`octoflow operations show ${id} --follow\` follows it, ` +
          `\`octoflow operations abort ${id}\` aborts it.`,
      )
    throw error
  } finally {
    progress.end()
  }
}

const LABELS = { retry: 'Running again', cancel: 'Cancelling', delete: 'Deleting' } as const

/** One that was aborted has not done what it was asked to: exit code 1. */
export function printOperation(session: Session, operation: Operation, { json }: JsonOption): void {
  if (operation.state === 'aborted') {
    const hint = 'What it has done stays done; start another for the rest.'
    session.fail(new CommandError(ExitCode.failed, `Operation ${operation.id} was aborted.`, hint))
  }
  if (json) {
    session.out.json(operation)
    return
  }
  const { id, action, state, examined, changed, skipped } = operation
  const did = { retry: 'run again', cancel: 'cancelled', delete: 'deleted' }[action as keyof typeof LABELS]
  const skips = skipped > 0 ? `, ${count(skipped)} left as they were` : ''
  session.out.line(
    state === 'running'
      ? `Operation ${id} is running: ${countOf(examined, 'job')} examined, ${count(changed)} ${did}${skips}.`
      : `Operation ${id} ${state === 'completed' ? 'is completed' : 'was aborted'}: ${countOf(changed, 'job')} ${did}${skips}.`,
  )
}
