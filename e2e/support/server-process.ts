import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Owner, temporaryDirectory, whenDone } from './owner.ts'
import { within } from './until.ts'

/** The static key of every server that is not started with other credentials. */
export const KEY = 'e2e-static-key'

const COMMAND = fileURLToPath(new URL('../../packages/server/bin/octoflow.js', import.meta.url))

const START_SECONDS = 30
const STOP_SECONDS = 30

export interface StartOptions {
  /** Beside `AUTHORIZATION_KEY`; nothing is taken over from the environment of the tests but `PATH`. */
  readonly env?: Readonly<Record<string, string>>
  /** Flags after `serve --port 0 --data DIR`. */
  readonly flags?: readonly string[]
  /** The text of `octoflow.yml` in the data directory. */
  readonly config?: string
  /** The data directory; left out, a fresh one, gone when the owner has finished. */
  readonly data?: string
  /** The `octoflow` to run; left out, that of the checkout. */
  readonly command?: string
}

/** How a process ended and what it said. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A line of the server's log. */
export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

/** Of lines that tell of an error, or of worse. */
export const ERROR_LEVEL = 50

/** An `octoflow serve` of its own process, with all that it says. */
export class ServerProcess {
  readonly data: string
  readonly #child: ChildProcess
  readonly #listeners = new Set<() => void>()
  readonly ended: Promise<Ending>
  #stdout = ''
  #stderr = ''
  #hasEnded = false
  #url: string | null = null
  /** Set by tests that bring errors about on purpose; otherwise one in the log fails the test. */
  mayLogErrors = false

  constructor(owner: Owner, { env = {}, flags = [], config, data, command = COMMAND }: StartOptions = {}) {
    const directory = temporaryDirectory(owner)
    this.data = data ?? join(directory, 'data')
    if (config !== undefined) {
      mkdirSync(this.data, { recursive: true })
      writeFileSync(join(this.data, 'octoflow.yml'), config)
    }
    this.#child = spawn(process.execPath, [command, 'serve', '--port', '0', '--data', this.data, ...flags], {
      cwd: directory,
      env: { PATH: process.env.PATH, AUTHORIZATION_KEY: KEY, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#read(this.#child.stdout!, (line) => {
      this.#stdout += `${line}\n`
      this.#url ??= /listening on (https?:\/\/\S+)/.exec(line)?.[1] ?? null
    })
    this.#read(this.#child.stderr!, (line) => {
      this.#stderr += `${line}\n`
    })
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        this.#hasEnded = true
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr })
        this.#changed()
      })
    })
    whenDone(owner, () => this.#cleanUp())
  }

  get pid(): number {
    return this.#child.pid!
  }

  get url(): string {
    if (this.#url === null) throw new Error('the server has not said yet where it listens')
    return this.#url
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** The log so far. What is no JSON, such as a warning of Node's, counts as an error. */
  get log(): readonly LogLine[] {
    return this.#stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (line.startsWith('{') ? (JSON.parse(line) as LogLine) : { level: ERROR_LEVEL, msg: line }))
  }

  /** Resolves once it accepts connections. @throws if it ends instead, with what it said. */
  async listening(): Promise<void> {
    await this.#until('the server listens', START_SECONDS, () => this.#url !== null || this.#hasEnded)
    if (this.#url === null) throw new Error(`the server did not start:\n${this.#stdout}${this.#stderr}`)
  }

  /** Resolves with the first line of the log that `matches`. */
  async logged(matches: (line: LogLine) => boolean, what: string, seconds = 10): Promise<LogLine> {
    await this.#until(what, seconds, () => this.log.some(matches))
    return this.log.find(matches)!
  }

  /** Asks it to stop and waits until it has. */
  stop(): Promise<Ending> {
    if (!this.#hasEnded) this.#child.kill('SIGTERM')
    return within(STOP_SECONDS, 'stopping the server', this.ended)
  }

  /** Ends it on the spot, as a loss of power would. */
  kill(): Promise<Ending> {
    this.#child.kill('SIGKILL')
    return this.ended
  }

  async #cleanUp(): Promise<void> {
    try {
      await this.stop()
    } catch (error) {
      await this.kill()
      throw error
    }
    if (!this.mayLogErrors)
      assert.deepEqual(
        this.log.filter(({ level }) => level >= ERROR_LEVEL),
        [],
        'errors in the server’s log',
      )
  }

  #read(stream: Readable, take: (line: string) => void): void {
    createInterface({ input: stream }).on('line', (line) => {
      take(line)
      this.#changed()
    })
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  async #until(what: string, seconds: number, holds: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = (): void => {
      if (holds()) resolve()
    }
    this.#listeners.add(look)
    look()
    try {
      await within(seconds, `waiting until ${what}`, promise)
    } finally {
      this.#listeners.delete(look)
    }
  }
}

/** Starts a server that is expected to give up. */
export async function failToStart(owner: Owner, options: StartOptions): Promise<Ending> {
  const server = new ServerProcess(owner, options)
  server.mayLogErrors = true
  return within(START_SECONDS, 'giving up the start', server.ended)
}
