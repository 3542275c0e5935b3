import { inspect } from 'node:util'
import { toJson } from './json.ts'

/** How a handler ended. An outcome is a value; only what nobody foresaw is thrown. */
export type Outcome =
  | { readonly kind: 'completed'; readonly resultJson?: string }
  | { readonly kind: 'failed'; readonly error: OutcomeError }
  | { readonly kind: 'snoozed'; readonly delaySeconds: number }
  | { readonly kind: 'discarded'; readonly reason: string }
  | { readonly kind: 'cancelled'; readonly reason: string | null }
  | { readonly kind: 'released' }

export interface OutcomeError {
  readonly message: string
  readonly code: string | null
  /** The stack, and those of the causes. */
  readonly detail: string | null
}

/** Registered, so that a value made by another copy of this package is known too. */
const OUTCOME = Symbol.for('@octoflow/worker/outcome')

/** What `snooze`, `discard` and `cancel` make; return it from the handler. */
export interface ChosenOutcome {
  readonly [OUTCOME]: Outcome
}

const chosen = (outcome: Outcome): ChosenOutcome => ({ [OUTCOME]: outcome })

const LONGEST_SNOOZE_SECONDS = 315_360_000
const LONGEST_REASON = 1024

/** Puts the job off; the attempt does not count. */
export function snooze(seconds: number): ChosenOutcome {
  if (!(seconds >= 0 && seconds <= LONGEST_SNOOZE_SECONDS))
    throw new RangeError(`snooze() takes 0 to ${LONGEST_SNOOZE_SECONDS} seconds, not ${inspect(seconds)}.`)
  return chosen({ kind: 'snoozed', delaySeconds: seconds })
}

/** Gives the job up for good, whatever attempts are left: it becomes a dead letter. */
export function discard(reason: string): ChosenOutcome {
  return chosen({ kind: 'discarded', reason: reasonText('discard', reason) })
}

/** Ends the job as cancelled: it turned out that nothing has to be done. */
export function cancel(reason: string): ChosenOutcome {
  return chosen({ kind: 'cancelled', reason: reasonText('cancel', reason) })
}

function reasonText(helper: string, reason: unknown): string {
  if (typeof reason !== 'string' || reason === '') throw new TypeError(`${helper}() takes a reason, a text that is not empty.`)
  return reason.slice(0, LONGEST_REASON)
}

const COMPLETED: Outcome = { kind: 'completed' }

export const RELEASED: Outcome = { kind: 'released' }

const isChosen = (value: unknown): value is ChosenOutcome => typeof value === 'object' && value !== null && OUTCOME in value

/** What the handler's return value means. */
export function outcomeOf(value: unknown): Outcome {
  if (value === true || value === undefined) return COMPLETED
  if (value === false) return failed('The handler returned false.', 'returned_false')
  if (isChosen(value)) return value[OUTCOME]
  try {
    return { kind: 'completed', resultJson: toJson(value) }
  } catch (error) {
    return failed(`The handler returned a result that is not JSON: ${firstLine(error)}.`, 'result_not_json')
  }
}

/** What it means that the handler threw. */
export function failureOf(error: unknown): Outcome {
  if (!(error instanceof Error)) return failed(typeof error === 'string' ? error : inspect(error), null)
  const { code } = error as { readonly code?: unknown }
  const known = typeof code === 'string' || typeof code === 'number' ? String(code) : null
  return failed(error.message === '' ? error.name : error.message, known, stackOf(error))
}

const LONGEST_MESSAGE = 8_192
const LONGEST_DETAIL = 65_536

export function failed(message: string, code: string | null, detail: string | null = null): Outcome {
  return {
    kind: 'failed',
    error: { message: message.slice(0, LONGEST_MESSAGE), code, detail: detail?.slice(0, LONGEST_DETAIL) ?? null },
  }
}

/** V8 explains a cycle in several lines; the first says what it is. */
const firstLine = (error: unknown): string => String(error instanceof Error ? error.message : error).split('\n', 1)[0]!

/** Causes are followed only so far, since they may form a cycle. */
function stackOf(error: Error, depth = 0): string {
  const own = error.stack ?? `${error.name}: ${error.message}`
  return error.cause instanceof Error && depth < 8 ? `${own}\nCaused by: ${stackOf(error.cause, depth + 1)}` : own
}
