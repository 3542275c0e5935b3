import { OctoflowError } from '../../errors/octoflow-error.ts'
import type { EventTypes } from '../../model/event-type.ts'
import { LOG_EVENT_FIELDS, type LogEvent, type LogEventFilter } from '../../model/log-event.ts'
import type { LogEventCount, LogEventPage, LogEventPlace } from '../../storage/contract/log-events.ts'
import type { Ports } from '../ports.ts'
import { checkLogEvents, type LogEventFault } from './intake.ts'
import { term } from './terms.ts'

/** What became of an event; `null` when it was stored. */
export type Logged = LogEventFault | null

export interface LogEventPageRequest {
  readonly order: 'asc' | 'desc'
  readonly after: LogEventPlace | number
  readonly limit: number
}

/** Events of other systems: takes them in and gives them back. */
export class LogEvents {
  readonly types: EventTypes
  readonly #ports: Ports

  constructor(ports: Ports, types: EventTypes) {
    this.#ports = ports
    this.types = types
  }

  /**
   * Stores what fits; each event is answered for itself.
   * @param text the JSON text that `values` were read from.
   */
  async append(values: readonly unknown[], text: string): Promise<readonly Logged[]> {
    const { storage, clock } = this.#ports
    const checked = checkLogEvents(values, text, this.types, clock.now())
    const events: LogEvent[] = []
    for (const one of checked) if ('event' in one) events.push(one.event)
    const stored = events.length === 0 ? [] : await storage.logEvents.append({ events })
    let next = 0
    return checked.map((one) => ('fault' in one ? one.fault : stored[next++]! ? null : 'duplicate_event_id'))
  }

  /** @returns the event's JSON text. @throws `log_event_not_found` */
  async find(id: string): Promise<string> {
    const [event] = await this.#ports.storage.logEvents.find({ ids: [term(id)] })
    if (event === undefined) throw new OctoflowError('log_event_not_found', { id })
    return event.document
  }

  /** @throws `skip_too_far` */
  list(filter: LogEventFilter, page: LogEventPageRequest): Promise<LogEventPage> {
    return this.#ports.storage.logEvents.list({ filter: inTerms(filter), ...page })
  }

  count(filter: LogEventFilter): Promise<LogEventCount> {
    return this.#ports.storage.logEvents.count({ filter: inTerms(filter) })
  }
}

/** A filter in the texts that are indexed. */
export function inTerms({ type, fields, ...time }: LogEventFilter): LogEventFilter {
  const named = LOG_EVENT_FIELDS.filter((field) => fields?.[field] !== undefined)
  return {
    ...time,
    ...(type !== undefined && { type: term(type) }),
    ...(named.length > 0 && { fields: Object.fromEntries(named.map((field) => [field, term(fields![field]!)])) }),
  }
}
