import type { SubmittedItem } from '@octoflow/protocol'
import { withMembers } from '../../lib/raw-json.ts'
import type { ApiClient } from '../client/api-client.ts'
import { RefusedError } from '../client/api-errors.ts'
import { jsonFault } from '../payload.ts'
import type { PayloadLine } from './payload-lines.ts'

export interface LineFault {
  readonly line: number
  readonly code: string
  readonly message: string
}

export interface LineIntakeOptions {
  /** What all the jobs have in common. */
  readonly settings: object
  /** Makes it harmless to submit the same lines again. */
  readonly idempotencyKey: string
  readonly onFault: (fault: LineFault) => void
}

/** Submits payloads in batches and counts what became of them. */
export class LineIntake {
  readonly #client: ApiClient
  readonly #options: LineIntakeOptions
  readonly ids: number[] = []
  readonly faults: LineFault[] = []
  created = 0
  repeated = 0
  existing = 0

  constructor(client: ApiClient, options: LineIntakeOptions) {
    this.#client = client
    this.#options = options
  }

  get idempotencyKey(): string {
    return this.#options.idempotencyKey
  }

  /** Answers of single lines are noted; what concerns them all is thrown. */
  async submit(lines: readonly PayloadLine[]): Promise<void> {
    const fitting = lines.filter(({ number, payload }) => {
      const fault = jsonFault(payload)
      if (fault !== null) this.#fail({ line: number, code: 'invalid_json', message: `It is not JSON: ${fault}.` })
      return fault === null
    })
    if (fitting.length > 0) await this.#send(fitting)
  }

  async #send(lines: readonly PayloadLine[]): Promise<void> {
    const { settings, idempotencyKey } = this.#options
    const jobs = lines.map(({ payload }) => withMembers(settings, { payload }))
    try {
      const { value } = await this.#client.call<{ readonly jobs: readonly SubmittedItem[] }>({
        method: 'POST',
        path: '/jobs',
        body: `{"jobs":[${jobs.join()}]}`,
        // The batches of the same lines are the same the next time.
        headers: { 'idempotency-key': `${idempotencyKey}:${lines[0]!.number}` },
      })
      for (const [index, item] of value.jobs.entries()) this.#note(lines[index]!, item)
    } catch (error) {
      if (!(error instanceof RefusedError) || error.status !== 413) throw error
      await this.#sendSmaller(lines, error)
    }
  }

  async #sendSmaller(lines: readonly PayloadLine[], { code, message }: RefusedError): Promise<void> {
    if (lines.length === 1) return this.#fail({ line: lines[0]!.number, code, message })
    const middle = Math.ceil(lines.length / 2)
    await this.#send(lines.slice(0, middle))
    await this.#send(lines.slice(middle))
  }

  #note({ number }: PayloadLine, { ok, id, outcome, code = 'unknown', message = '' }: SubmittedItem): void {
    if (!ok || id === undefined) {
      this.#fail({ line: number, code, message })
      return
    }
    this.ids.push(id)
    if (outcome === 'existing') this.existing++
    else if (outcome === 'repeated') this.repeated++
    else this.created++
  }

  #fail(fault: LineFault): void {
    this.faults.push(fault)
    this.#options.onFault(fault)
  }
}
