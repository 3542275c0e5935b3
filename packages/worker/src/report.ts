import type { EventInput } from '@octoflow/protocol'
import type { JobRun } from './job-run.ts'
import type { Outcome } from './outcome.ts'
import type { Report } from './transport.ts'

export const PROCESSED: EventInput = Object.freeze({ message: 'Request processed successfully' })

export const FAILED: EventInput = Object.freeze({ message: 'Failed to process request', level: 'error' })

/** @param events what the handler said and was not sent yet; the closing event comes after it. */
export function reportOf({ claimed }: JobRun, outcome: Outcome, events: readonly EventInput[]): Report {
  const { id, leaseToken } = claimed
  const head = { id, leaseToken, outcome: outcome.kind }
  switch (outcome.kind) {
    case 'completed': {
      const all = [...events, PROCESSED]
      return outcome.resultJson === undefined
        ? { ...head, events: all }
        : { ...head, resultJson: outcome.resultJson, events: all }
    }
    case 'failed':
      return { ...head, error: outcome.error, events: [...events, FAILED] }
    case 'discarded':
      return { ...head, reason: outcome.reason, events: [...events, FAILED] }
    case 'snoozed':
      return { ...head, delaySeconds: outcome.delaySeconds, ...eventsIn(events) }
    case 'cancelled':
      return { ...head, ...(outcome.reason === null ? {} : { reason: outcome.reason }), ...eventsIn(events) }
    case 'released':
      return { ...head, ...eventsIn(events) }
  }
}

/** What was put off or given back has been neither processed nor failed, and gets no closing event. */
const eventsIn = (events: readonly EventInput[]): Pick<Report, 'events'> => (events.length === 0 ? {} : { events: [...events] })
