import type { CancelTimer } from '../../lib/clock.ts'
import { Service } from '../../lib/service.ts'
import { SECOND } from '../../lib/time.ts'
import type { Ports } from '../ports.ts'

const LEASE = 10 * SECOND
const RENEW_EVERY = 3 * SECOND

export interface TermListener {
  /** This server has become the leader. */
  onTerm(): void
  /** It no longer is. */
  onTermEnd(): void
}

/**
 * Among servers that share a database, one at a time is the leader. Where the database is not shared there is no one to
 * contend with, and leadership begins with the start.
 */
export class Leadership extends Service {
  readonly #ports: Ports
  readonly #holder: string
  readonly #listeners: TermListener[] = []
  #leader = false
  #cancelTimer: CancelTimer = () => {}
  #contending: Promise<void> = Promise.resolve()

  /** @param holder a name that no other server has. */
  constructor(ports: Ports, holder: string) {
    super()
    this.#ports = ports
    this.#holder = holder
  }

  get leader(): boolean {
    return this.#leader
  }

  subscribe(listener: TermListener): void {
    this.#listeners.push(listener)
  }

  protected override async onStart(): Promise<void> {
    if (!this.#ports.storage.capabilities.shared) return this.#become(true)
    await this.#contend()
    this.#schedule()
  }

  protected override async onStop(): Promise<void> {
    this.#cancelTimer()
    // Or it would take up again what is given up here.
    await this.#contending
    if (this.#leader && this.#ports.storage.capabilities.shared)
      await this.#ports.storage.leader
        .resign({ holder: this.#holder })
        .catch((error) => this.#ports.logger.warn({ err: error }, 'leadership was not given up; it lapses by itself'))
    this.#become(false)
  }

  #schedule(): void {
    this.#cancelTimer = this.#ports.clock.after(RENEW_EVERY, () => {
      this.#contending = this.#contend().finally(() => {
        if (this.running) this.#schedule()
      })
    })
  }

  async #contend(): Promise<void> {
    const now = this.#ports.clock.now()
    try {
      const { leader } = await this.#ports.storage.leader.acquire({ now, holder: this.#holder, until: now + LEASE })
      this.#become(leader)
    } catch (error) {
      // Whether the lease could be renewed is not known; the next leader waits until it has lapsed, so stop before.
      const { logger, outage } = this.#ports
      if (!outage.explains(error)) logger.warn({ err: error }, 'leadership could not be renewed')
      this.#become(false)
    }
  }

  #become(leader: boolean): void {
    if (leader === this.#leader) return
    this.#leader = leader
    this.#ports.logger.debug({ leader }, leader ? 'became leader' : 'is no longer leader')
    for (const listener of this.#listeners) leader ? listener.onTerm() : listener.onTermEnd()
  }
}
