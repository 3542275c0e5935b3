/** The parts of an OpenAPI document that the reference shows. */
interface Document {
  readonly tags?: readonly { readonly name: string; readonly description?: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly tags?: readonly string[]
  readonly summary?: string
  readonly description?: string
  readonly parameters?: readonly {
    readonly in: string
    readonly name: string
    readonly description?: string
    readonly required?: boolean
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }
}

interface Schema {
  readonly type?: string
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
}

/** docs/reference/http-api.md: every route with what it takes. Answers are in the OpenAPI document itself. */
export function httpReference(document: object): string {
  const { tags = [], paths } = document as Document
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const sections = tags.flatMap(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags?.includes(name))
    if (own.length === 0) return []
    return [`## ${capitalise(name)}`, '', ...(description === undefined ? [] : [description, '']), ...own.flatMap(describe)]
  })
  return [
    '# HTTP API',
    '',
    'Generated from the routes by `npm run docs`. The running server has the whole of it, answers included, as OpenAPI 3.1 at',
    '`/openapi.json`, and a page to try it out at `/docs`.',
    '',
    ...sections,
  ].join('\n')
}

function describe({ path, method, operation }: { path: string; method: string; operation: Operation }): string[] {
  const { summary = '', description, parameters = [], requestBody } = operation
  const query = parameters
    .filter((parameter) => parameter.in === 'query')
    .map(
      ({ name, description: meaning, required }) =>
        `| \`${name}\`${required === true ? ' *' : ''} | query | ${meaning ?? ''} |`,
    )
  const body = Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => fields(schema))
  const table = [...query, ...body]
  return [
    `### ${method} ${path}`,
    '',
    `${summary}. ${description?.replaceAll('\n\n', ' ') ?? ''}`.replace(/([.?!])\. /, '$1 ').trim(),
    '',
    ...(table.length === 0 ? [] : ['| | in | meaning |', '|---|---|---|', ...table, '']),
  ]
}

/** The top-level fields of a body; of alternatives, of all of them. */
function fields(schema: Schema): string[] {
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.flatMap(fields))]
  return Object.entries(schema.properties ?? {}).map(
    ([name, field]) => `| \`${name}\`${schema.required?.includes(name) ? ' *' : ''} | body | ${meaningOf(field)} |`,
  )
}

function meaningOf(schema: Schema): string {
  const type = typeOf(schema)
  return schema.description === undefined ? type : `${type}. ${schema.description.replaceAll('|', '\\|')}`
}

function typeOf({ type, enum: values, anyOf, items }: Schema): string {
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(', ')
  if (anyOf !== undefined) return [...new Set(anyOf.map(typeOf))].join(' or ')
  if (type === 'array') return `list of ${items === undefined ? 'anything' : typeOf(items)}`
  return type ?? 'any JSON value'
}

const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
