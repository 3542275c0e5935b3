import { type ApiClient, LOG_EVENTS } from '../client/api-client.ts'
import { RefusedError } from '../client/api-errors.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { jsonFault } from '../payload.ts'
import type { PayloadLine } from '../submit/payload-lines.ts'
import type { FaultFile } from './fault-file.ts'

interface Result {
  readonly success: boolean
  readonly error: string
}

/** Stores events in batches and counts what became of them. */
export class EventIntake {
  readonly #client: ApiClient
  readonly #faults: FaultFile
  stored = 0
  /** Those that were stored before, in an earlier line or by an earlier import. */
  known = 0
  failed = 0

  constructor(client: ApiClient, faults: FaultFile) {
    this.#client = client
    this.#faults = faults
  }

  /** Answers of single lines are noted; what concerns them all is thrown. */
  async store(lines: readonly PayloadLine[]): Promise<void> {
    const fitting: PayloadLine[] = []
    for (const line of lines) {
      const fault = jsonFault(line.payload)
      if (fault === null) fitting.push(line)
      else await this.#fail(line, `it is not JSON: ${fault}`)
    }
    if (fitting.length > 0) await this.#send(fitting)
  }

  async #send(lines: readonly PayloadLine[]): Promise<void> {
    try {
      const { value } = await this.#client.call<readonly Result[]>({
        method: 'POST',
        root: LOG_EVENTS,
        path: '',
        body: `[${lines.map(({ payload }) => payload).join()}]`,
      })
      if (!Array.isArray(value) || value.length !== lines.length)
        throw new CommandError(
          ExitCode.failed,
          'The server’s answer has not one result for each event.',
          'Use the command line of its version.',
        )
      for (const [index, result] of (value as readonly Result[]).entries()) await this.#note(lines[index]!, result)
    } catch (error) {
      if (!(error instanceof RefusedError) || error.status !== 413) throw error
      await this.#sendSmaller(lines, error)
    }
  }

  async #sendSmaller(lines: readonly PayloadLine[], { message }: RefusedError): Promise<void> {
    if (lines.length === 1) return this.#fail(lines[0]!, message)
    const middle = Math.ceil(lines.length / 2)
    await this.#send(lines.slice(0, middle))
    await this.#send(lines.slice(middle))
  }

  async #note(line: PayloadLine, { success, error }: Result): Promise<void> {
    if (success) this.stored++
    else if (error === 'duplicate_event_id') this.known++
    else await this.#fail(line, error)
  }

  async #fail(line: PayloadLine, error: string): Promise<void> {
    this.failed++
    await this.#faults.add(line, error)
  }
}
