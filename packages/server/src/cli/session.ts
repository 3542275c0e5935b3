import { type CommandError, toCommandError } from './command-error.ts'
import { ExitCode, exitCodeOfSignal } from './exit-code.ts'
import type { Host } from './host.ts'
import { Screen } from './output/screen.ts'

/** What one run of the command line shares with its command. */
export class Session {
  readonly host: Host
  /** Whether programs read what is said: results and errors are JSON then. */
  readonly json: boolean
  readonly out: Screen
  readonly err: Screen
  /** What to say of an error that the command did not expect. */
  explain: (error: unknown) => Promise<CommandError> = async (error) => toCommandError(error)
  #failure: CommandError | null = null
  readonly #controller = new AbortController()
  #endedBy: ExitCode | null = null
  #interruptible = false
  #detached = false
  #finished = false

  constructor(host: Host, json: boolean) {
    this.host = host
    this.json = json
    this.out = new Screen(host.stdout)
    this.err = new Screen(host.stderr)
    host.stdout.on('error', (error: NodeJS.ErrnoException) => this.#outputFailed(error))
    host.stderr.on('error', () => undefined)
  }

  /**
   * Fires at Ctrl-C, at SIGTERM and when nobody reads the output any more. From when it is first asked for, it takes the
   * place of what these do by themselves; a second signal ends the process at once.
   */
  get signal(): AbortSignal {
    if (!this.#interruptible) {
      this.#interruptible = true
      this.host.onStopSignal((signal) => {
        if (this.#endedBy !== null) this.host.exit(exitCodeOfSignal(signal))
        this.#end(exitCodeOfSignal(signal))
      })
    }
    return this.#controller.signal
  }

  /** The exit code of what ended the run from outside; `null` if nothing did. */
  get endedBy(): ExitCode | null {
    return this.#endedBy
  }

  /** The first failure that was noted; `null` if nothing has failed. */
  get failure(): CommandError | null {
    return this.#failure
  }

  /** Notes that something has failed, while the command goes on or has said so in its result. */
  fail(failure: CommandError): void {
    this.#failure ??= failure
  }

  /** For what is meant to go on until Ctrl-C: the run has succeeded. */
  endedAsMeant(): void {
    this.#endedBy = ExitCode.ok
  }

  /** The command has done its work; what it has written may still be on its way. */
  finish(): void {
    this.#finished = true
  }

  /** For what lives on when nobody reads its output, and deals with signals itself. */
  detach(): void {
    this.#detached = true
  }

  #outputFailed({ code, message }: NodeJS.ErrnoException): void {
    if (this.#detached) return
    // Whoever reads the output has seen enough, such as `head`.
    if (code !== 'EPIPE') this.err.line(`octoflow: The output cannot be written: ${message}.`)
    this.#end(code === 'EPIPE' ? ExitCode.ok : ExitCode.failed)
  }

  #end(code: ExitCode): void {
    if (this.#detached || this.#endedBy !== null) return
    if (!this.#interruptible || this.#finished) this.host.exit(code)
    this.#endedBy = code
    this.#controller.abort()
  }
}
