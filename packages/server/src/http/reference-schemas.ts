/** The parts of a JSON Schema that the reference puts into words. */
export interface Schema {
  readonly type?: string
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly format?: string
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
}

export interface Field {
  /** `jobs[].id`: the field `id` of each item of the list `jobs`. */
  readonly name: string
  readonly required: boolean
  readonly schema: Schema
}

/** All fields of an object, those inside others after them. @param known a schema that needs no second telling. */
export function fieldsOf(schema: Schema, known: Schema | null = null, prefix = ''): readonly Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    { name: prefix + name, required: schema.required?.includes(name) ?? false, schema: field },
    ...innerFields(field, known, prefix + name),
  ])
}

function innerFields(schema: Schema, known: Schema | null, name: string): readonly Field[] {
  const inner = withoutNull(schema)
  if (inner.items !== undefined) return isSame(inner.items, known) ? [] : fieldsOf(inner.items, known, `${name}[].`)
  const objects = (inner.anyOf ?? [inner]).filter(({ properties }) => properties !== undefined)
  return objects.flatMap((object) => fieldsOf(object, known, `${name}.`))
}

export const isSame = (schema: Schema, other: Schema | null): boolean =>
  other !== null && JSON.stringify(schema) === JSON.stringify(other)

/** The type and its limits in words: `integer from 0 to 9`, `text of up to 256 characters or null`. */
export function typeInWords(schema: Schema): string {
  const { type, enum: values, const: only, anyOf, items, format, maxItems } = schema
  if (only !== undefined) return `\`${only}\``
  if (values !== undefined) return alternatives(values.map((value) => `\`${value}\``))
  if (anyOf !== undefined) return [...new Set(anyOf.map(typeInWords))].join(' or ')
  if (type === 'array') return `list of ${maxItems === undefined ? '' : `up to ${count(maxItems)} `}${pluralInWords(items)}`
  if (type === 'string') return format === 'date-time' ? 'time' : `text${length(schema)}`
  if (type === 'integer' || type === 'number') return range(type, schema)
  return type ?? 'any JSON value'
}

const pluralInWords = (items: Schema | undefined): string =>
  items === undefined
    ? 'JSON values'
    : typeInWords(items).replace(/^(?:object|text|(?:positive )?integer|number|time)\b/, '$&s')

const alternatives = (words: readonly string[]): string => new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(words)

const count = (number: number): string => number.toLocaleString('en')

const length = ({ maxLength }: Schema): string => (maxLength === undefined ? '' : ` of up to ${count(maxLength)} characters`)

function range(type: string, { minimum, exclusiveMinimum, maximum }: Schema): string {
  const most = maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? null : count(maximum)
  if (exclusiveMinimum !== undefined) return `${type} above ${exclusiveMinimum}${most === null ? '' : `, at most ${most}`}`
  if (minimum === undefined) return most === null ? type : `${type}, at most ${most}`
  if (most !== null) return `${type} from ${minimum} to ${most}`
  return minimum === 1 && type === 'integer' ? 'positive integer' : `${type}, at least ${minimum}`
}

/** The example that a schema gives, or one made of those of its fields; `undefined` where a field that is needed has none. */
export function exampleOf(schema: Schema): unknown {
  const { examples, anyOf, enum: values, properties, required = [] } = schema
  if (examples !== undefined) return examples[0]
  if (anyOf !== undefined) return anyOf.map(exampleOf).find((example) => example !== undefined)
  if (properties === undefined) return values?.[0]
  const shown = Object.entries(properties)
    .map(([name, field]) => [name, exampleOf(field)] as const)
    .filter(([, example]) => example !== undefined)
  const names = shown.map(([name]) => name)
  return shown.length > 0 && required.every((name) => names.includes(name)) ? Object.fromEntries(shown) : undefined
}

/** What an answer is made of, by its fields' names: `{ items: [{ id, queue }], next }`. */
export function shape(schema: Schema): string {
  const inner = withoutNull(schema)
  if (inner.items !== undefined) return `[${shape(inner.items)}]`
  if (inner.properties === undefined) return ''
  const fields = Object.entries(inner.properties).map(([name, field]) => {
    const nested = shape(field)
    return nested === '' || nested === '[]' ? name : `${name}: ${nested}`
  })
  return `{ ${fields.join(', ')} }`
}

/** A value that may be null as one that may not. */
function withoutNull(schema: Schema): Schema {
  const [only, ...more] = (schema.anyOf ?? []).filter(({ type }) => type !== 'null')
  return only !== undefined && more.length === 0 ? only : schema
}
