import type { ExitCode } from './exit-code.ts'

/** Why a command ends without having done what it was asked to: a line that says what and where, and how to mend it. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exitCode: ExitCode
  readonly hint: string

  constructor(exitCode: ExitCode, message: string, hint: string, options: { readonly cause?: unknown } = {}) {
    super(message, options)
    this.exitCode = exitCode
    this.hint = hint
  }
}
