import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** What a test tells a process of its own to do with a database file. */
export type Order =
  | { readonly do: 'migrate'; readonly path: string }
  | { readonly do: 'own'; readonly path: string }
  /** Submits, claims and completes jobs until it is killed, and tells of each that was acknowledged. */
  | { readonly do: 'work'; readonly path: string }

export type Tale =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'migrated'; readonly versions: readonly number[] }
  | { readonly kind: 'owns' }
  | { readonly kind: 'submitted' | 'completed'; readonly ids: readonly number[] }
  | { readonly kind: 'failed'; readonly message: string }

/** A process with a database handle, to be killed as processes are. */
export class SqliteProcess {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Resolves once the process waits for its order. */
  static async start(): Promise<SqliteProcess> {
    const child = fork(new URL('./sqlite-process-main.ts', import.meta.url))
    const started = new SqliteProcess(child)
    await started.next('waiting')
    return started
  }

  give(order: Order): void {
    this.#child.send(order)
  }

  /** Hears whatever the process tells from here on. */
  listen(listener: (tale: Tale) => void): void {
    this.#child.on('message', listener)
  }

  /** The next thing of a kind that the process tells. */
  next<Kind extends Tale['kind']>(kind: Kind): Promise<Extract<Tale, { readonly kind: Kind }>> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error(`the process ended before it told of "${kind}"`))
      const listener = (tale: Tale): void => {
        if (tale.kind !== kind && tale.kind !== 'failed') return
        this.#child.off('message', listener)
        this.#child.off('exit', ended)
        if (tale.kind === 'failed') reject(new Error(tale.message))
        else resolve(tale as Extract<Tale, { readonly kind: Kind }>)
      }
      this.#child.on('message', listener)
      this.#child.on('exit', ended)
    })
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }
}
