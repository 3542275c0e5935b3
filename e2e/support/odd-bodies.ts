import type { Schema } from './openapi.ts'

/** A body with one odd value in it. */
export interface OddBody {
  /** Where the odd value is, such as `jobs[0].id`; empty for the whole. */
  readonly path: string
  readonly body: unknown
}

/** More than any text in a body may have, but for what is stored as it came. */
const LONG = 'x'.repeat(70_000)

/** Values of all types, with those that are most often not thought of. */
const ODD: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  1e308,
  '',
  'text',
  '1',
  '\u0000',
  '\ud800',
  LONG,
  [],
  [null],
  ['text'],
  [[]],
  {},
  { unheardOf: 1 },
]

/** A body that fits its schema: what is required and no more. */
export function sample(schema: Schema): unknown {
  if (Array.isArray(schema.examples)) return schema.examples[0]
  if (Array.isArray(schema.enum)) return schema.enum[0]
  const alternatives = alternativesOf(schema)
  if (alternatives.length > 1) return sample(alternatives[0]!)
  switch (schema.type) {
    case 'object':
      return sampleObject(schema)
    case 'array':
      return [sample(itemsOf(schema))]
    case 'string':
      return 'text'
    case 'boolean':
      return true
    case 'null':
      return null
    default:
      return schema.minimum ?? 1
  }
}

/** Bodies for a schema that are odd in one place each: every place of it with every value that is odd there. Some fit. */
export function* oddBodies(schema: Schema): Generator<OddBody> {
  for (const body of [...ODD, ...beyondLimits(schema)]) yield { path: '', body }
  for (const alternative of alternativesOf(schema)) {
    if (alternative.type === 'object') yield* oddObjects(alternative)
    if (alternative.type === 'array')
      for (const { path, body } of oddBodies(itemsOf(alternative))) yield { path: join('[0]', path), body: [body] }
  }
}

function* oddObjects(schema: Schema): Generator<OddBody> {
  const base = sampleObject(schema)
  for (const name of requiredOf(schema)) {
    const { [name]: _, ...rest } = base
    // An empty object fits none of several alternatives, so it is the whole that is wrong.
    yield { path: Object.keys(rest).length === 0 ? '' : name, body: rest }
  }
  for (const name of ['unheardOf', '', '__proto__', 'constructor', 'toString'])
    yield { path: name, body: { ...base, [name]: {} } }
  for (const [name, property] of Object.entries(propertiesOf(schema)))
    for (const { path, body } of oddBodies(property)) yield { path: join(name, path), body: { ...base, [name]: body } }
}

/** What is required, even if the schema's example has more; the first member where none is, but one has to be. */
function sampleObject(schema: Schema): Record<string, unknown> {
  const names = schema.minProperties === 1 ? Object.keys(propertiesOf(schema)).slice(0, 1) : requiredOf(schema)
  return Object.fromEntries(names.map((name) => [name, sample(propertiesOf(schema)[name]!)]))
}

function beyondLimits({ minimum, maximum, exclusiveMinimum, maxLength, maxItems, items }: Schema): readonly unknown[] {
  return [
    ...(typeof minimum === 'number' ? [minimum - 1] : []),
    ...(typeof maximum === 'number' ? [maximum + 1] : []),
    ...(typeof exclusiveMinimum === 'number' ? [exclusiveMinimum] : []),
    ...(typeof maxLength === 'number' ? ['x'.repeat(maxLength + 1)] : []),
    ...(typeof maxItems === 'number' ? [Array.from({ length: maxItems + 1 }, () => sample(items as Schema))] : []),
  ]
}

const alternativesOf = (schema: Schema): readonly Schema[] => (schema.anyOf as readonly Schema[] | undefined) ?? [schema]

const propertiesOf = ({ properties = {} }: Schema): Readonly<Record<string, Schema>> => properties as Record<string, Schema>

const requiredOf = ({ required = [] }: Schema): readonly string[] => required as readonly string[]

const itemsOf = ({ items }: Schema): Schema => items as Schema

const join = (path: string, rest: string): string => (rest === '' || rest.startsWith('[') ? path + rest : `${path}.${rest}`)
