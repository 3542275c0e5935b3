import { isOctoflowError } from '../errors/octoflow-error.ts'
import { ExitCode, exitCodeOf } from './exit-code.ts'

export interface CommandErrorOptions {
  /** That of the catalogue, where the error comes from there. */
  readonly code?: string
  readonly cause?: unknown
}

/** Why a command ends without having done what it was asked to: a line that says what and where, and how to mend it. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode
  /** For programs. */
  readonly code: string
  readonly hint: string

  constructor(exitCode: ExitCode, message: string, hint: string, { code = CODES[exitCode], cause }: CommandErrorOptions = {}) {
    super(message, { cause })
    this.exitCode = exitCode
    this.code = code ?? 'failed'
    this.hint = hint
  }
}

/** What an error is called that has no name of its own. Listed in docs/guides/command-line.md. */
const CODES: { readonly [Code in ExitCode]?: string } = {
  [ExitCode.usage]: 'usage',
  [ExitCode.notFound]: 'not_found',
  [ExitCode.denied]: 'denied',
  [ExitCode.unreachable]: 'unreachable',
  [ExitCode.conflict]: 'conflict',
  [ExitCode.config]: 'config_invalid',
}

/** Whatever was thrown, as it is told. */
export function toCommandError(error: unknown): CommandError {
  if (error instanceof CommandError) return error
  if (isOctoflowError(error)) {
    const { message, hint, code } = error
    return new CommandError(exitCodeOf(error), message, hint, { code, cause: error })
  }
  const reason = error instanceof Error ? error.message : String(error)
  return new CommandError(
    ExitCode.failed,
    `Something unexpected happened: ${reason}`,
    'This is a mistake in Octoflow; please report it with the command line.',
    { code: 'internal', cause: error },
  )
}
