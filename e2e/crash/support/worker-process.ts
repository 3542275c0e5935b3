import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Owner, whenDone } from '../../support/owner.ts'
import { KEY } from '../../support/server-process.ts'
import { within } from '../../support/until.ts'
import { monotonicNow } from './journal.ts'

/** The payload of a job for the workers of these tests. */
export interface Task {
  /** How long the work takes. */
  readonly workMs?: number
  /** The work goes on until there is a file of this name, followed by a hyphen and the worker's name. */
  readonly gate?: string
  /** So many attempts fail. */
  readonly failures?: number
  /** The handler does not look at its signal. */
  readonly stubborn?: boolean
}

export interface WorkerSettings {
  /** Must differ from those of all other workers that share the journal. */
  readonly name: string
  readonly url: string
  readonly key: string
  readonly queues: readonly string[]
  readonly concurrency: number
  readonly leaseSeconds: number
  readonly journal: string
}

const MAIN = fileURLToPath(new URL('./worker-main.ts', import.meta.url))

const START_SECONDS = 30
const STOP_SECONDS = 60

/** So much of what a worker says is kept for the message of a failure. */
const KEPT_CHARACTERS = 4_000

/** `@octoflow/worker` in a process of its own, with handlers that note in a journal when they begin and end. */
export class WorkerProcess {
  readonly name: string
  readonly ended: Promise<void>
  readonly #child: ChildProcess
  readonly #started = Promise.withResolvers<void>()
  #said = ''
  #killedAt: number | null = null
  #asked = false

  constructor(owner: Owner, settings: Omit<WorkerSettings, 'key'>) {
    this.name = settings.name
    const argument = JSON.stringify({ ...settings, key: KEY } satisfies WorkerSettings)
    this.#child = spawn(process.execPath, [MAIN, argument], { stdio: ['ignore', 'pipe', 'pipe'] })
    createInterface({ input: this.#child.stdout! }).on('line', () => this.#started.resolve())
    this.#child.stderr!.on('data', (text) => {
      this.#said = `${this.#said}${text}`.slice(-KEPT_CHARACTERS)
    })
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        if (this.#asked) resolve()
        else reject(new Error(`the worker ${this.name} ended by itself (${code ?? signal}):\n${this.#said}`))
      })
    })
    this.ended.catch((error) => this.#started.reject(error))
    this.#started.promise.catch(() => undefined)
    whenDone(owner, () => this.#cleanUp())
  }

  /** Just before it was killed, by `monotonicNow()`; `null` if it was not. */
  get killedAt(): number | null {
    return this.#killedAt
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Resolves when it asks for jobs. */
  started(): Promise<void> {
    return within(START_SECONDS, 'starting a worker', this.#started.promise)
  }

  /** Finishes what it has in hand. */
  async stop(): Promise<void> {
    if (!this.#asked) {
      this.#asked = true
      this.#child.kill('SIGCONT')
      this.#child.kill('SIGTERM')
    }
    try {
      await within(STOP_SECONDS, `stopping the worker ${this.name}`, this.ended)
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  async kill(): Promise<void> {
    this.#asked = true
    this.#killedAt ??= monotonicNow()
    this.#child.kill('SIGKILL')
    await this.ended.catch(() => undefined)
  }

  /** @throws if it ended by itself. */
  async #cleanUp(): Promise<void> {
    if (this.#asked) return
    await Promise.race([this.ended, this.kill()])
  }

  /** Not a single instruction of it runs until `resume()`. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  /** Lets this worker's handlers pass a gate. */
  open(gate: string): void {
    writeFileSync(`${gate}-${this.name}`, '')
  }
}
