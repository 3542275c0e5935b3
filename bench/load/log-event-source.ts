import { MILLISECOND, toIso } from '../../packages/server/src/lib/time.ts'

/** Microseconds from one event to the next: ten million of them are a day. */
const APART = 8 * MILLISECOND

const USERS = 10_000
const SYSTEMS = 200
const LOCATIONS = ['europe', 'us']
const OPERATIONS = ['read', 'write']

/** Some users do far more than others: half of all events are of a hundredth of them. */
const userOf = (event: number): number => {
  const share = ((event * 7919) % 10_007) / 10_007
  return Math.floor(USERS * share ** 6.6)
}

/** An event as a client sends it. */
export interface SentEvent {
  readonly type: string
  readonly timestamp: string
  readonly event_id: string
  readonly event: Readonly<Record<string, string>>
}

/** Makes events one after the other, users' and systems' in turn, each with an id and a time of its own. */
export class LogEventSource {
  readonly #from: number
  #made = 0

  /** @param from the time of the first one, long enough ago for all of them. */
  constructor(from: number) {
    this.#from = from
  }

  get made(): number {
    return this.#made
  }

  next(): SentEvent {
    const number = this.#made++
    const operation = OPERATIONS[(number >> 1) % 2]!
    const common = { timestamp: toIso(this.#from + number * APART), event_id: idOf(number) }
    if (number % 2 === 0) {
      const username = `user_${userOf(number)}`
      return { type: 'user', ...common, event: { username, email: `${username}@example.com`, operation } }
    }
    const event = { system_id: `system_${number % SYSTEMS}`, location: LOCATIONS[(number >> 2) % 2]!, operation }
    return { type: 'system', ...common, event }
  }

  batch(size: number): SentEvent[] {
    return Array.from({ length: size }, () => this.next())
  }
}

/** Ids in no order, as random ones are; each number has one of its own. */
export const idOf = (number: number): string => `e_${Math.imul(number, 0x9e3779b1) >>> 0}`
