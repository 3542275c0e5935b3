import type { TSchema } from '@octoflow/protocol'
import { WELL_FORMED } from '@octoflow/protocol'
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifySchemaCompiler } from 'fastify'
import type { ErrorCode } from '../errors/catalogue.ts'
import { OctoflowError } from '../errors/octoflow-error.ts'
import { nearest } from '../lib/nearest.ts'

/** One part of a message that does not fit. */
export interface Misfit {
  /** Such as `jobs[3].priority`; empty for the whole. */
  readonly path: string
  readonly message: string
}

/** A message that does not fit its schema, with everything that does not fit. */
export class InvalidInput extends OctoflowError {
  readonly misfits: readonly Misfit[]

  constructor(code: ErrorCode, misfits: readonly Misfit[]) {
    super(code, { reason: misfits.map(inWords).slice(0, SHOWN).join('; ') })
    this.misfits = misfits
  }
}

/** A value that its schema cannot tell to be wrong. @param message what is wrong, in words that follow the path. */
export const misfit = (part: 'body' | 'query', path: string, message: string): InvalidInput =>
  new InvalidInput(part === 'body' ? 'invalid_body' : 'invalid_query', [{ path, message }])

const SHOWN = 5

/** Of a body that fits nowhere, no more is told than this. To find out what is worth telling takes the square of the number. */
const EXPLAINED = 100

const inWords = ({ path, message }: Misfit): string => (path === '' ? message : `${path} ${message}`)

const OPTIONS = { allErrors: true, strict: false, validateFormats: false, verbose: true } as const

/** Bodies are taken at their word; what stands in a URL is text, so numbers and booleans are read from it. */
const ofBodies = new Ajv(OPTIONS)
const ofUrls = new Ajv({ ...OPTIONS, coerceTypes: true })

/**
 * Compiles a schema when the first message has to fit it, not before: most routes are never called in most runs, and
 * compiling all of them would take a good part of the time to start.
 */
export function validator(schema: TSchema, part: 'body' | 'url'): (value: unknown) => readonly Misfit[] {
  let validate: ValidateFunction | null = null
  return (value) => {
    validate ??= (part === 'body' ? ofBodies : ofUrls).compile(schema)
    return validate(value) ? [] : explain((validate.errors ?? []).slice(0, EXPLAINED))
  }
}

/** Fastify's hook for validation. A misfit is thrown as `InvalidInput`. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const code = httpPart === 'body' ? 'invalid_body' : 'invalid_query'
  const misfitsOf = validator(schema, httpPart === 'body' ? 'body' : 'url')
  return (value: unknown) => {
    const misfits = misfitsOf(value)
    return misfits.length === 0 ? { value } : { error: new InvalidInput(code, misfits) }
  }
}

/** Ajv's errors in words. Of alternatives that all failed, only what says something is kept. */
function explain(errors: readonly ErrorObject[]): Misfit[] {
  const telling = errors.filter((error) => !isNoise(error, errors))
  const misfits = telling.map(toMisfit)
  return misfits.filter((misfit, index) => misfits.findIndex((other) => inWords(other) === inWords(misfit)) === index)
}

function isNoise({ keyword, params, instancePath, schemaPath }: ErrorObject, errors: readonly ErrorObject[]): boolean {
  // What is wrong with the name stands in an error of its own.
  if (keyword === 'propertyNames') return true
  const others = errors.filter((other) => other.keyword !== 'anyOf' && other.schemaPath !== schemaPath)
  if (keyword === 'anyOf') return others.some((other) => other.instancePath.startsWith(instancePath))
  // "null" is the other half of an optional value: what is wrong is that it misses the first half.
  return keyword === 'type' && params.type === 'null' && others.some((other) => other.instancePath === instancePath)
}

function toMisfit(error: ErrorObject): Misfit {
  const misfit = describe(error)
  const { propertyName } = error
  if (propertyName === undefined) return misfit
  return { ...misfit, message: `has the name ${JSON.stringify(propertyName)}, which ${misfit.message}` }
}

function describe({ instancePath, keyword, message, params, parentSchema }: ErrorObject): Misfit {
  const path = dotted(instancePath)
  switch (keyword) {
    case 'additionalProperties': {
      const name = String(params.additionalProperty)
      const meant = nearest(name, Object.keys(parentSchema?.properties ?? {}))
      const suggestion = meant === null ? '' : `; did you mean ${meant}?`
      return { path: join(path, name), message: `is not known here${suggestion}` }
    }
    case 'required':
      return { path: join(path, String(params.missingProperty)), message: 'is missing' }
    case 'enum':
      return { path, message: `must be one of ${(params.allowedValues as unknown[]).join(', ')}` }
    case 'pattern':
      return { path, message: params.pattern === WELL_FORMED ? 'must not hold half of a character' : String(message) }
    case 'type':
      return { path, message: `must be ${article(String(params.type))}` }
    case 'minLength':
    case 'minItems':
    case 'minProperties':
      return { path, message: atLeast(params.limit, COUNTED[keyword]) }
    case 'maxLength':
    case 'maxItems':
    case 'maxProperties':
      return { path, message: `must have at most ${params.limit} ${COUNTED[keyword]}` }
    default:
      return { path, message: message ?? 'does not fit' }
  }
}

const atLeast = (least: number, counted: string): string =>
  least === 1 ? 'must not be empty' : `must have at least ${least} ${counted}`

const COUNTED = {
  minLength: 'characters',
  maxLength: 'characters',
  minItems: 'items',
  maxItems: 'items',
  minProperties: 'members',
  maxProperties: 'members',
} as const

const article = (type: string): string => (type === 'null' ? 'null' : /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`)

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

/** `/jobs/3/priority` as `jobs[3].priority`. */
function dotted(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : join(path, part)), '')
}
