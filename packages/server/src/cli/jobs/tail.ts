import { setTimeout as pause } from 'node:timers/promises'
import type { JobState, StreamJob } from '@octoflow/protocol'
import type { Command } from 'commander'
import { type ApiClient, connect } from '../client/api-client.ts'
import { isPassing } from '../client/api-errors.ts'
import type { ServerOptions } from '../client/find-server.ts'
import type { ServerEvent } from '../client/server-events.ts'
import { addExamples, addServerOptions, type JsonOption } from '../options.ts'
import { timeOfDay } from '../output/format.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'
import { names } from '../values.ts'
import { QUEUE_OPTION } from './filter.ts'
import { STATE_STYLES } from './view.ts'

interface Options extends ServerOptions, JsonOption {
  readonly queue?: readonly string[]
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000

export function tailCommand(jobs: Command, session: Session): void {
  const command = jobs
    .command('tail')
    .summary('follow what jobs do')
    .description('Print every change of a job’s state as it happens, until Ctrl-C. A lost connection is made again.')
    .option('-q, --queue <name>', QUEUE_OPTION, names())
    .option('--json', 'print a JSON document on each line')
  addServerOptions(command)
  addExamples(command, [
    ['octoflow jobs tail -q emails', 'one queue'],
    ['octoflow jobs tail --json | jq -c "select(.state == \\"dead\\")"', 'what went wrong, as it happens'],
  ])
  command.action((options: Options) => tail(session, options))
}

async function tail(session: Session, options: Options): Promise<void> {
  const client = await connect(session, options)
  const follower = new Follower(session, client, options)
  try {
    await follower.follow()
  } catch (error) {
    // A signal is how this is meant to end.
    if (session.endedBy === null) throw error
    session.endedAsMeant()
  }
}

class Follower {
  readonly #session: Session
  readonly #client: ApiClient
  readonly #options: Options
  #lastId: string | null = null
  #failures = 0
  #connected = false

  constructor(session: Session, client: ApiClient, options: Options) {
    this.#session = session
    this.#client = client
    this.#options = options
  }

  /** @throws what keeps it from being connected for the first time, and what trying again cannot mend. */
  async follow(): Promise<never> {
    const { signal, err } = this.#session
    for (;;) {
      try {
        const events = await this.#client.stream(this.#lastId, signal)
        if (!this.#connected) err.line(err.paint('dim', `Following ${this.#client.address.url}. Ctrl-C ends it.`))
        else if (this.#failures > 0) err.line('Connected again.')
        this.#connected = true
        this.#failures = 0
        for await (const event of events) this.#print(event)
      } catch (error) {
        if (!this.#connected || signal.aborted || !isPassing(error)) throw error
      }
      if (this.#failures++ === 0) err.line('The connection to the server is lost; trying to make it again.')
      await pause(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures), undefined, { signal })
    }
  }

  #print({ id, name, data }: ServerEvent): void {
    const { out, err } = this.#session
    const { queue: queues, json } = this.#options
    this.#lastId = id ?? this.#lastId
    if (name === 'reset') err.line('Some changes were missed meanwhile.')
    if (name !== 'job') return
    const change = JSON.parse(data) as StreamJob
    if (queues !== undefined && !queues.includes(change.queue)) return
    if (json) out.jsonText(data)
    else this.#printChange(change)
  }

  #printChange({ id, queue, state, at }: StreamJob): void {
    const { out } = this.#session
    const shown = out.paint(STATE_STYLES[state as JobState], state.padEnd(9))
    out.line(`${out.paint('dim', timeOfDay(at))}  ${String(id).padStart(6)}  ${shown}  ${oneLine(queue)}`)
  }
}
