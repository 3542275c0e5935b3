import { withinDeadline } from './deadline.ts'

const LOOK_EVERY_MS = 1_000

/** A connection that was in use at so many looks is in use for long. */
const LONG = 2

const ANSWER_WITHIN_MS = 4_000

/**
 * Finds out that a database server has fallen silent: frozen, or cut off without a word. A connection does not tell: its answer is
 * waited for like that of a statement that takes long. So while one is in use for long, the server is asked for a sign of life over
 * another. A shorter limit for statements would end those that are slow for a reason, commits that wait for a standby among them.
 */
export class Pulse<Connection> {
  readonly #ask: () => Promise<unknown>
  readonly #onSilence: () => void
  /** Connections in use, and at how many looks they were. */
  readonly #inUse = new Map<Connection, number>()
  #timer: NodeJS.Timeout | null = null
  #asking = false

  /** @param ask resolves or rejects when the server says anything, be it that it takes no more connections. */
  constructor(ask: () => Promise<unknown>, onSilence: () => void) {
    this.#ask = ask
    this.#onSilence = onSilence
  }

  taken(connection: Connection): void {
    this.#inUse.set(connection, 0)
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref()
  }

  returned(connection: Connection): void {
    this.#inUse.delete(connection)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  #look(): void {
    if (this.#inUse.size === 0) this.stop()
    for (const [connection, looks] of this.#inUse) this.#inUse.set(connection, looks + 1)
    if (!this.#asking && [...this.#inUse.values()].some((looks) => looks >= LONG)) void this.#listen()
  }

  async #listen(): Promise<void> {
    this.#asking = true
    const heard = this.#ask().catch(() => {})
    await withinDeadline(ANSWER_WITHIN_MS, heard, () => {}).catch(() => this.#onSilence())
    this.#asking = false
  }
}
