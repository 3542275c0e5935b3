import { Service } from '../../lib/service.ts'
import { SECOND } from '../../lib/time.ts'
import type { EventRule } from '../../model/event-rule.ts'
import { type LogEvent, type LogEventFilter, matches } from '../../model/log-event.ts'
import type { Incoming, Intake } from '../jobs/intake.ts'
import type { Leadership } from '../leadership/leadership.ts'
import type { Ports } from '../ports.ts'
import { inTerms } from './log-events.ts'
import type { LogEventTail } from './tail.ts'

/** After an error, the pause before it is tried again. */
const PAUSE = SECOND

/** Portions without a match that may be read again after a crash, rather than noting the place after each. */
const UNNOTED = 20

interface Parts {
  readonly tail: LogEventTail
  readonly intake: Intake
  readonly leadership: Leadership
}

/**
 * Starts the jobs of rules, on the server that leads. A rule follows the events in the order of their arrival and notes how far it
 * has got after the jobs are stored; so each match starts its job at least once, and a repetition is known by its idempotency key.
 */
export class EventRules extends Service {
  readonly #leadership: Leadership
  readonly #followers: readonly RuleFollower[]

  constructor(ports: Ports, parts: Parts, rules: readonly EventRule[]) {
    super()
    this.#leadership = parts.leadership
    this.#followers = rules.map((rule) => new RuleFollower(ports, parts, rule))
    parts.leadership.subscribe({ onTerm: () => this.#begin(), onTermEnd: () => void this.#end() })
  }

  protected override onStart(): void {
    if (this.#leadership.leader) this.#begin()
  }

  protected override async onStop(): Promise<void> {
    await this.#end()
  }

  #begin(): void {
    for (const follower of this.#followers) follower.start()
  }

  async #end(): Promise<void> {
    await Promise.all(this.#followers.map((follower) => follower.stop()))
  }
}

class RuleFollower {
  readonly #ports: Ports
  readonly #parts: Parts
  readonly #rule: EventRule
  readonly #filter: LogEventFilter
  #control: AbortController | null = null
  #run: Promise<void> = Promise.resolve()

  constructor(ports: Ports, parts: Parts, rule: EventRule) {
    this.#ports = ports
    this.#parts = parts
    this.#rule = rule
    this.#filter = inTerms({ fields: rule.fields, ...(rule.type !== null && { type: rule.type }) })
  }

  start(): void {
    if (this.#control !== null) return
    const control = new AbortController()
    this.#control = control
    this.#run = this.#run.then(() => this.#followPatiently(control.signal))
  }

  async stop(): Promise<void> {
    this.#control?.abort()
    this.#control = null
    await this.#run
  }

  async #followPatiently(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#follow(signal)
      } catch (error) {
        const { logger, outage } = this.#ports
        if (!outage.explains(error))
          logger.warn({ err: error, rule: this.#rule.name }, 'a rule for log events failed; it is tried again')
        await this.#pause(signal)
      }
    }
  }

  /** Goes on from where the rule stands, which for a new one is the end. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { tail } = this.#parts
    let noted = await this.#ports.storage.logEvents.mark({ follower: this.#follower })
    let mark = noted ?? (await tail.end())
    if (noted === null) {
      if (!(await this.#note(null, mark))) return
      noted = mark
    }
    let unnoted = 0
    while (!signal.aborted) {
      const { arrivals } = tail
      const followed = await tail.read(mark)
      if (followed === null) {
        this.#ports.logger.error(
          { rule: this.#rule.name, mark },
          'the database does not know how far a rule has got; it goes on at the end',
        )
        if (!(await this.#note(noted, await tail.end()))) return
        return
      }
      const matching = followed.events.filter((event) => matches(this.#filter, event))
      if (matching.length > 0) await this.#startJobs(matching)
      mark = followed.mark
      if (matching.length > 0 || (followed.events.length > 0 && ++unnoted === UNNOTED)) {
        // Another server leads by now, and has got on from there.
        if (!(await this.#note(noted, mark))) return
        noted = mark
        unnoted = 0
      }
      if (followed.events.length === 0) await tail.more(arrivals, signal)
    }
    if (mark !== noted) await this.#note(noted, mark)
  }

  async #startJobs(events: readonly LogEvent[]): Promise<void> {
    await this.#parts.intake.acceptInOrder(
      events.map((event) => ({ incoming: this.#toIncoming(event), key: `${this.#follower} ${event.id}` })),
    )
  }

  #toIncoming(event: LogEvent): Incoming {
    const { queue, concurrencyKey, priority, maxAttempts } = this.#rule
    const key = concurrencyKey === null ? undefined : event.fields[concurrencyKey]
    return {
      source: 'event',
      sourceIp: null,
      userAgent: null,
      method: 'POST',
      url: '/v1/events',
      headers: null,
      contentType: 'application/json',
      body: event.document,
      queue,
      job: {
        ...(priority !== null && { priority }),
        ...(maxAttempts !== null && { maxAttempts }),
        // The empty text is no key.
        ...(key !== undefined && key !== '' && { concurrencyKey: key }),
        labels: { rule: this.#rule.name },
      },
    }
  }

  get #follower(): string {
    return `on_event ${this.#rule.name}`
  }

  #note(from: string | null, to: string): Promise<boolean> {
    return this.#ports.storage.logEvents.advance({ follower: this.#follower, from, to })
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#ports.clock.after(PAUSE, resolve)
      signal.addEventListener('abort', () => {
        cancel()
        resolve()
      })
    })
  }
}
