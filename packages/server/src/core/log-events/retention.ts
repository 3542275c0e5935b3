import type { Duration } from '../../lib/time.ts'
import type { EventTypes } from '../../model/event-type.ts'
import type { Ports } from '../ports.ts'

/** So many events are deleted in some milliseconds. */
const AT_ONCE = 1_000

/** Deletes log events that have outlived the retention of their type, or the general one. */
export class LogEventRetention {
  readonly #ports: Ports
  readonly #types: EventTypes
  readonly #general: Duration | null

  /** @param general for types that set none, `null` for ever. */
  constructor(ports: Ports, types: EventTypes, general: Duration | null) {
    this.#ports = ports
    this.#types = types
    this.#general = general
  }

  /** Deletes some of each type. @returns whether there is more to do. */
  async prune(): Promise<boolean> {
    const { storage, clock, logger } = this.#ports
    const now = clock.now()
    let more = false
    for (const { type } of await storage.logEvents.types()) {
      const own = this.#types.get(type)?.retention
      const retention = own === undefined ? this.#general : own
      if (retention === null) continue
      const deleted = await storage.logEvents.prune({ now, type, before: now - retention, limit: AT_ONCE })
      if (deleted > 0) logger.debug({ type, deleted }, 'deleted log events that have outlived their retention')
      more ||= deleted === AT_ONCE
    }
    return more
  }
}
