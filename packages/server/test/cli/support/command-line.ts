import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { Host } from '../../../src/cli/host.ts'
import { run } from '../../../src/cli/program.ts'

/** What a command said, and how it ended. */
export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>
  /** What standard input holds; a stream is given as it comes. */
  readonly stdin?: string | Readable
  /** How wide the terminal is; left out, there is none. */
  readonly columns?: number
}

const LONGEST_WAIT_MS = 30_000

/** Standard output or standard error, kept. Colours are taken away, since the surroundings of the tests may ask for them. */
export class Output extends Writable {
  readonly isTTY: boolean
  readonly columns: number
  #text = ''
  #changed = Promise.withResolvers<void>()

  constructor(columns: number | undefined) {
    super({ decodeStrings: false })
    this.isTTY = columns !== undefined
    this.columns = columns ?? 0
  }

  get text(): string {
    return stripVTControlCharacters(this.#text)
  }

  /** As it was written, with all that a terminal would obey. */
  get raw(): string {
    return this.#text
  }

  /** Resolves as soon as what was written so far matches; rejects when it has not for too long. */
  async until(pattern: RegExp): Promise<void> {
    const tooLong = AbortSignal.timeout(LONGEST_WAIT_MS)
    tooLong.addEventListener('abort', () => this.#changed.resolve())
    while (!pattern.test(this.text)) {
      if (tooLong.aborted) throw new Error(`${pattern} was not written, but ${JSON.stringify(this.text)}`)
      await this.#changed.promise
    }
  }

  override _write(chunk: string | Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#text += String(chunk)
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
    done()
  }
}

/** A run of the command line inside the process of the test, to which signals can be sent. */
export interface Running {
  readonly out: Output
  readonly err: Output
  readonly ended: Promise<Said>
  signal(name: NodeJS.Signals): void
}

/** The command line in a directory of its own. */
export class CommandLine {
  readonly cwd: string
  readonly env: Record<string, string>

  constructor(t: TestContext, env: Readonly<Record<string, string>> = {}) {
    this.cwd = realpathSync(mkdtempSync(join(tmpdir(), 'octoflow-cli-')))
    this.env = { ...env }
    t.after(() => rmSync(this.cwd, { recursive: true, force: true }))
  }

  path(...names: readonly string[]): string {
    return join(this.cwd, ...names)
  }

  run(...args: readonly string[]): Promise<Said> {
    return this.start(args).ended
  }

  /** Runs a command and reads the one JSON document that it must print. */
  async json<Value>(...args: readonly string[]): Promise<Value> {
    const { code, out, err } = await this.run(...args, '--json')
    if (code !== 0) throw new Error(`exit code ${code}: ${err}`)
    return JSON.parse(out) as Value
  }

  start(args: readonly string[], { env = {}, stdin = '', columns }: Surroundings = {}): Running {
    const out = new Output(columns)
    const err = new Output(columns)
    const callbacks = new Set<(signal: NodeJS.Signals) => void>()
    const host: Host = {
      env: { ...this.env, ...env },
      cwd: this.cwd,
      pid: process.pid,
      platform: process.platform,
      node: { path: process.execPath, version: process.versions.node },
      stdin: typeof stdin === 'string' ? Readable.from([stdin]) : stdin,
      stdout: out,
      stderr: err,
      onStopSignal(callback) {
        callbacks.add(callback)
        return () => callbacks.delete(callback)
      },
      onReloadSignal: () => () => undefined,
      onCrash: () => () => undefined,
      isRunning: (pid) => pid === process.pid,
      exit(code) {
        throw new Error(`the process would have ended at once with ${code}`)
      },
    }
    return {
      out,
      err,
      ended: run(args, host).then((code) => ({ code, out: out.text, err: err.text })),
      signal(name) {
        for (const callback of callbacks) callback(name)
      },
    }
  }
}
