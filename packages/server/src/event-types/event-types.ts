import { readFileSync } from 'node:fs'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { OctoflowError } from '../errors/octoflow-error.ts'
import { DAY, type Duration } from '../lib/time.ts'
import type { EventMisfit, EventType, EventTypes } from '../model/event-type.ts'
import { LOG_EVENT_FIELDS, LONGEST_TERM, type LogEventField } from '../model/log-event.ts'
import { BUILT_IN } from './built-in.ts'
import { FORMATS } from './formats.ts'

/** What the file says of a type. */
interface Definition {
  readonly description?: string
  readonly schema?: Readonly<Record<string, unknown>>
  readonly example?: unknown
  /** `null`: for ever. */
  readonly retentionDays?: number | null
}

const NAMES = ['description', 'schema', 'example', 'retentionDays'] as const

const MOST_DAYS = 36_500

/**
 * The types of log events: the built-in ones and those of `maps/event-types.json`, which may say of a built-in one how long its
 * events are kept, and nothing else.
 * @throws `event_types_invalid`
 */
export function loadEventTypes(path: string): EventTypes {
  const given = readDefinitions(path)
  const names = new Set([...Object.keys(BUILT_IN), ...Object.keys(given)])
  return new Map([...names].map((name) => [name, toEventType(path, name, given[name])]))
}

function readDefinitions(path: string): Readonly<Record<string, Definition>> {
  let text: string
  try {
    text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
  } catch (error) {
    if (isMissing(error)) return {}
    throw new OctoflowError('event_types_invalid', { path, reason: (error as Error).message }, { cause: error })
  }
  try {
    const value: unknown = JSON.parse(text)
    if (isObject(value)) return value as Record<string, Definition>
  } catch (error) {
    throw new OctoflowError(
      'event_types_invalid',
      { path, reason: `it is not JSON: ${(error as Error).message}` },
      { cause: error },
    )
  }
  throw new OctoflowError('event_types_invalid', { path, reason: 'it is no object with a member for each type' })
}

function toEventType(path: string, name: string, given: Definition = {}): EventType {
  const builtIn = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name as keyof typeof BUILT_IN] : null
  const fault = faultOf(name, given, builtIn !== null)
  if (fault !== null) throw new OctoflowError('event_types_invalid', { path, reason: `the type "${name}" ${fault}` })
  const { description = `Events of the type ${name}.`, schema, example } = builtIn ?? given
  const compiled = new Compiled(schema!)
  if (builtIn === null) {
    const reason = compiled.fault()
    if (reason !== null)
      throw new OctoflowError('event_types_invalid', { path, reason: `the schema of the type "${name}" is none: ${reason}` })
  }
  return {
    name,
    description,
    schema: schema!,
    example,
    retention: toRetention(given.retentionDays),
    misfit: (event) => compiled.misfit(event),
  }
}

const toRetention = (days: number | null | undefined): Duration | null | undefined =>
  typeof days === 'number' ? Math.round(days * DAY) : days

/** What is wrong with a definition, in words that follow the type's name. */
function faultOf(name: string, given: Definition, isBuiltIn: boolean): string | null {
  if (name === '' || name.length > LONGEST_TERM || !name.isWellFormed())
    return `needs a name of 1 to ${LONGEST_TERM} characters`
  if (!isObject(given)) return 'is no object'
  const unknown = Object.keys(given).find((key) => !NAMES.some((known) => known === key))
  if (unknown !== undefined) return `has "${unknown}", which means nothing; known are ${NAMES.join(', ')}`
  const { description, schema, retentionDays } = given
  if (isBuiltIn && Object.keys(given).some((key) => key !== 'retentionDays'))
    return 'is built in; all it may be given is retentionDays'
  if (!isBuiltIn && !isObject(schema)) return 'needs a schema, a JSON Schema of its events'
  if (description !== undefined && typeof description !== 'string') return 'has a description that is no text'
  if (retentionDays === undefined || retentionDays === null) return null
  const fits = typeof retentionDays === 'number' && retentionDays >= 0 && retentionDays <= MOST_DAYS
  return fits ? null : `has retentionDays that are no number from 0 to ${MOST_DAYS}`
}

/** A schema that is compiled when the first event has to fit it. */
class Compiled {
  readonly #schema: object
  #validate: ValidateFunction | null = null

  constructor(schema: object) {
    this.#schema = schema
  }

  /** Why it cannot be compiled; `null` if it can. */
  fault(): string | null {
    try {
      this.#validate = compile(this.#schema)
      return null
    } catch (error) {
      return (error as Error).message
    }
  }

  misfit(event: unknown): EventMisfit | null {
    this.#validate ??= compile(this.#schema)
    if (this.#validate(event)) return null
    const misfits = (this.#validate.errors ?? []).map(concerned)
    return misfits.includes('event') ? 'event' : (misfits[0] ?? 'event')
  }
}

const compile = (schema: object): ValidateFunction =>
  new Ajv({ allErrors: true, strict: false, formats: FORMATS, logger: false }).compile(schema)

/** The field whose value does not fit. One that is missing is the event's fault. */
function concerned({ instancePath }: ErrorObject): EventMisfit {
  const name = instancePath.split('/')[1]
  return LOG_EVENT_FIELDS.find((field): field is LogEventField => field === name) ?? 'event'
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
