import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import type { Host } from '../host.ts'

const COMMAND = fileURLToPath(new URL('../../../bin/octoflow.js', import.meta.url))

/** What children keep of the environment: nothing that would configure them. */
const KEPT = /^(?:PATH|HOME|TMPDIR|TEMP|TMP|SYSTEMROOT|LANG|LC_.*|NODE_.*|SSL_CERT_.*|npm_.*)$/i

const LINES_KEPT = 20
const STOP_WITHIN_MS = 10_000

export interface ChildOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** The line of standard output that says that it is ready. */
  readonly ready: RegExp
}

/** Another `octoflow` command in a process of its own. */
export class Child {
  readonly #process: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #lastLines: string[] = []
  readonly #name: string

  private constructor(host: Host, args: readonly string[], { cwd, env = {} }: ChildOptions) {
    this.#name = `octoflow ${args[0]}`
    const kept = Object.entries(host.env).filter(([name]) => KEPT.test(name))
    this.#process = spawn(host.node.path, [COMMAND, ...args], {
      cwd: cwd ?? host.cwd,
      env: { ...Object.fromEntries(kept), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#exited = once(this.#process, 'exit')
    this.#exited.catch(() => undefined)
    createInterface(this.#process.stderr!).on('line', (line) => {
      this.#lastLines.push(line)
      this.#lastLines.splice(0, this.#lastLines.length - LINES_KEPT)
    })
  }

  /** @returns the child and the line that says that it is ready. */
  static async start(host: Host, args: readonly string[], options: ChildOptions): Promise<{ child: Child; line: string }> {
    const child = new Child(host, args, options)
    return { child, line: await child.#untilReady(options.ready) }
  }

  /** Rejects when the process ends, which it should not do by itself. */
  async untilItFails(): Promise<never> {
    await this.#exited
    throw this.#failure()
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_WITHIN_MS)
    await this.#exited
    clearTimeout(timer)
  }

  async #untilReady(ready: RegExp): Promise<string> {
    const found = new Promise<string>((resolve) => {
      createInterface(this.#process.stdout!).on('line', (line) => {
        if (ready.test(line)) resolve(line)
      })
    })
    return Promise.race([found, this.untilItFails()])
  }

  #failure(): CommandError {
    const { exitCode, signalCode } = this.#process
    const how = signalCode === null ? `exit code ${exitCode}` : signalCode
    const known = Object.values(ExitCode).find((code) => code === exitCode && code !== ExitCode.ok)
    return new CommandError(known ?? ExitCode.failed, `\`${this.#name}\` ended with ${how}.`, this.#lastLines.join('\n'))
  }
}
