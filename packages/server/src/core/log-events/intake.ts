import { itemTexts, memberText } from '../../lib/raw-json.ts'
import type { Instant } from '../../lib/time.ts'
import { readTimestamp } from '../../lib/timestamp.ts'
import type { EventMisfit, EventTypes } from '../../model/event-type.ts'
import { LOG_EVENT_FIELDS, type LogEvent } from '../../model/log-event.ts'
import { term, termsOf } from './terms.ts'

/** Why an event was not stored. */
export type LogEventFault =
  | 'invalid_event_id'
  | 'invalid_type'
  | 'invalid_timestamp'
  | 'invalid_event'
  | 'invalid_email'
  | 'invalid_location'
  | 'duplicate_event_id'

/** An event that is as its type says, or what is wrong with it. */
export type CheckedLogEvent = { readonly event: LogEvent } | { readonly fault: LogEventFault }

type Members = Readonly<Record<string, unknown>>

/** Checks what came in as events. @param text the JSON text that the events were read from, a list of them. */
export function checkLogEvents(
  values: readonly unknown[],
  text: string,
  types: EventTypes,
  now: Instant,
): readonly CheckedLogEvent[] {
  const source = new Source(text)
  return values.map((value, index) => checkLogEvent(value, index, source, types, now))
}

/** The text that events came in, of which parts are cut out where printing the values again would lose something. */
class Source {
  readonly #text: string
  readonly #mayLoseDigits: boolean
  #items: readonly string[] | null = null

  constructor(text: string) {
    this.#text = text
    // A number of JavaScript's has 15 digits for certain, and ends between 10³⁰⁸ and 10³⁰⁹.
    this.#mayLoseDigits = /(?<![\d.])\d[\d.]{15}|\d[eE][+-]?\d{3}/.test(text)
  }

  /** The JSON text, on one line, of a member of an event that has the value `value`. */
  memberText(index: number, name: string, value: unknown): string {
    if (!this.#mayLoseDigits) {
      try {
        return JSON.stringify(value)
      } catch {
        // It is nested too deeply to be printed.
      }
    }
    this.#items ??= itemTexts(this.#text)
    // In JSON, the ends of lines stand between values only.
    return memberText(this.#items[index]!, name)!.replace(/[\r\n]+/g, ' ')
  }
}

function checkLogEvent(value: unknown, index: number, source: Source, types: EventTypes, now: Instant): CheckedLogEvent {
  if (!isObject(value)) return { fault: 'invalid_event' }
  const { event_id: id, type, timestamp, event } = value
  if (typeof id !== 'string' || id === '' || !id.isWellFormed()) return { fault: 'invalid_event_id' }
  const known = typeof type === 'string' ? types.get(type) : undefined
  if (known === undefined) return { fault: 'invalid_type' }
  const time = typeof timestamp === 'string' ? readTimestamp(timestamp) : null
  if (time === null || time.at > now) return { fault: 'invalid_timestamp' }
  const misfit = known.misfit(event) ?? unusable(event)
  if (misfit !== null) return { fault: FAULTS[misfit] }
  const members = [
    `"type":${JSON.stringify(type)},"timestamp":"${time.text}"`,
    `"event_id":${JSON.stringify(id)},"event":${source.memberText(index, 'event', event)}`,
  ]
  // Whatever else a client says of an event is kept, too.
  const names = Object.keys(value)
  if (names.length > KNOWN.size)
    for (const name of names)
      if (!KNOWN.has(name)) members.push(`${JSON.stringify(name)}:${source.memberText(index, name, value[name])}`)
  return {
    event: { id: term(id), type: known.name, at: time.at, fields: termsOf(event as Members), document: `{${members.join()}}` },
  }
}

const FAULTS: Readonly<Record<EventMisfit, LogEventFault>> = {
  email: 'invalid_email',
  location: 'invalid_location',
  username: 'invalid_event',
  system_id: 'invalid_event',
  operation: 'invalid_event',
  event: 'invalid_event',
}

const KNOWN = new Set(['type', 'timestamp', 'event_id', 'event'])

/** What an event is found by has to be an event's own, and text that every database can store. */
function unusable(event: unknown): EventMisfit | null {
  if (!isObject(event)) return 'event'
  const field = LOG_EVENT_FIELDS.find((name) => typeof event[name] === 'string' && !(event[name] as string).isWellFormed())
  return field ?? null
}

const isObject = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value)
