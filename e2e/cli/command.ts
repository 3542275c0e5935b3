import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { type Owner, temporaryDirectory, whenDone } from '../support/owner.ts'
import type { Ending } from '../support/server-process.ts'
import { within } from '../support/until.ts'

/** The directory that a user would call a clone. */
export const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url))

const OCTOFLOW = fileURLToPath(new URL('../../packages/server/bin/octoflow.js', import.meta.url))

const PATIENCE_SECONDS = 60

export interface CommandOptions {
  /** Left out, a fresh directory. */
  readonly cwd?: string
  /** Nothing is taken over from the environment of the tests but `PATH` and `HOME`. */
  readonly env?: Readonly<Record<string, string>>
}

/** A command in a process of its own, whose words are looked at as they come. Whatever it started ends with the test. */
export class Command {
  readonly ended: Promise<Ending>
  readonly #child: ChildProcess
  readonly #line: string
  #stdout = ''
  #stderr = ''
  #hasEnded = false
  #changed = Promise.withResolvers<void>()

  constructor(owner: Owner, [file, ...args]: readonly [string, ...string[]], { cwd, env = {} }: CommandOptions = {}) {
    this.#line = [file, ...args].join(' ')
    const { PATH, HOME } = process.env
    this.#child = spawn(file, args, {
      cwd: cwd ?? temporaryDirectory(owner),
      env: { PATH, HOME, ...env },
      // A group of its own, as in a shell, so that what `npm` starts can be reached too.
      detached: true,
    })
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#notify()
    })
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      this.#notify()
    })
    const ended = new Promise<Ending>((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => {
        this.#hasEnded = true
        this.#notify()
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })
      })
    })
    this.ended = within(PATIENCE_SECONDS, `the end of \`${this.#line}\``, ended)
    this.ended.catch(() => undefined)
    whenDone(owner, async () => {
      if (this.#hasEnded) return
      this.signal('SIGKILL')
      await ended
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Standard output as it came. */
  get raw(): string {
    return this.#stdout
  }

  /** Without colours. */
  get stdout(): string {
    return stripVTControlCharacters(this.#stdout)
  }

  get stderr(): string {
    return stripVTControlCharacters(this.#stderr)
  }

  /** Ends its standard input, after a last text. */
  endInput(text = ''): void {
    this.#child.stdin!.end(text)
  }

  /** Reads no more of what it prints, as `head` does when it has enough. */
  closeOutput(): void {
    this.#child.stdout!.destroy()
  }

  /** To the whole group, as a terminal sends it. */
  signal(name: NodeJS.Signals): void {
    process.kill(-this.pid, name)
  }

  /** Resolves with what matches in what it said so far. @throws if it ends without having said it. */
  async says(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    const deadline = performance.now() + PATIENCE_SECONDS * 1_000
    for (;;) {
      const match = pattern.exec(this[stream])
      if (match !== null) return match
      if (this.#hasEnded) throw new Error(`\`${this.#line}\` ended without saying ${pattern}:\n${this.stdout}${this.stderr}`)
      const seconds = Math.max(0, (deadline - performance.now()) / 1_000)
      await within(seconds, `waiting until \`${this.#line}\` says ${pattern}`, this.#changed.promise)
    }
  }

  #notify(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}

/** Starts `octoflow` with these arguments. */
export const octoflow = (owner: Owner, args: readonly string[], options: CommandOptions = {}): Command =>
  new Command(owner, [process.execPath, OCTOFLOW, ...args], options)

/** Runs `octoflow` to its end. */
export const runOctoflow = (owner: Owner, args: readonly string[], options: CommandOptions = {}): Promise<Ending> =>
  octoflow(owner, args, options).ended
