import { exampleOf, type Field, fieldsOf, isSame, type Schema, shape, typeInWords } from './reference-schemas.ts'

/** The parts of an OpenAPI document that the reference shows. */
interface Document {
  readonly tags?: readonly { readonly name: string; readonly description?: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly tags?: readonly string[]
  readonly summary?: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
}

interface Parameter {
  readonly in: string
  readonly name: string
  readonly description?: string
  readonly required?: boolean
  readonly schema: Schema
}

type Content = Readonly<Record<string, Media>>

interface Media {
  readonly schema: Schema
  readonly example?: unknown
}

interface Route {
  readonly title: string
  readonly operation: Operation
  /** The role that a caller needs; `null` for none. */
  readonly role: string | null
  readonly summary: string
  readonly description: string
}

/** docs/reference/http-api.md: every route with what it takes and answers. */
export function httpReference(document: object): string {
  const { tags = [], paths } = document as Document
  const told = new Map<string, string>()
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => toRoute(`${method.toUpperCase()} ${path}`, operation)),
  )
  const sections = tags.flatMap(({ name, description = '' }) => {
    const own = routes.filter(({ operation }) => operation.tags?.includes(name))
    return own.length === 0 ? [] : [section(name, description, own, told)]
  })
  return `${[INTRODUCTION, ...sections].join('\n\n')}\n`
}

const INTRODUCTION = `# HTTP API

Generated from the routes by \`npm run docs\`. The running server has all of it as OpenAPI 3.1 at \`/openapi.json\`, schemas of the
answers included, and a page to try it out at \`/docs\`.

A call carries \`Authorization: Bearer <key>\`, or \`X-API-Key: <key>\`. Each route names the least role that may call it; from the
least, the roles are \`viewer\`, \`producer\`, \`worker\`, \`operator\` and \`admin\`. A key that is limited to queues sees nothing else.

Below \`/api/v1\`, errors are \`application/problem+json\` with a stable \`code\` ([all of them](errors.md)), times are ISO 8601 in
UTC, durations are seconds. Lists answer \`{"items": […], "next": "…"}\`; send \`next\` back as \`cursor\` for the next page, until it
is \`null\`. \`POST\`, \`PUT\`, \`PATCH\` and \`DELETE\` accept \`Idempotency-Key\`: a repeated call under the same one is answered like the
first and does nothing. The capture API has errors of the form \`{"message": "…"}\`.`

function toRoute(title: string, operation: Operation): Route {
  const { summary = '', description = '' } = operation
  const role = /Needs the role `(\w+)`\.$/.exec(description)?.[1] ?? null
  return {
    title,
    operation,
    role,
    summary: /[.?!]$/.test(summary) ? summary : `${summary}.`,
    description: description.replace(/\s*Needs the role `\w+`\.$/, ''),
  }
}

/** @param told by its schema, the route that already tells what an answer is made of. */
function section(name: string, description: string, routes: readonly Route[], told: Map<string, string>): string {
  const rows = routes.map(({ title, role, summary }) => [`[${title}](#${anchor(title)})`, summary, roleCell(role)])
  const heading = `## ${name.charAt(0).toUpperCase()}${name.slice(1)}`
  return [heading, description, table(['Route', 'Does', 'Role'], rows), ...routes.map((route) => describe(route, told))].join(
    '\n\n',
  )
}

const roleCell = (role: string | null): string => (role === null ? 'none' : `\`${role}\``)

/** The name that GitHub gives to a heading. */
const anchor = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')

function describe({ title, operation, role, summary, description }: Route, told: Map<string, string>): string {
  const text = [summary, description.replaceAll(/\s*\n+\s*/g, ' ')].filter((part) => part !== '').join(' ')
  const needs = role === null ? 'No credential is needed.' : `Role: \`${role}\`.`
  return [`### ${title}`, `${text} ${needs}`, ...takes(operation), answers(operation.responses, told, title)].join('\n\n')
}

/** A table of the query and of each form that the body may have. */
function takes({ parameters = [], requestBody }: Operation): readonly string[] {
  const query = parameters.filter((parameter) => parameter.in === 'query').map(parameterRow)
  const [body, ...others] = Object.entries(requestBody?.content ?? {})
  const forms = body === undefined ? [] : (body[1].schema.anyOf ?? [body[1].schema])
  const [first, ...alternatives] = forms.map((form, at) => bodyRows(form, at === 0 ? null : forms[0]!))
  const example = body === undefined ? undefined : exampleIn(body[1])
  const types = others.length === 0 ? [] : [`The body may be ${[body!, ...others].map(([type]) => `\`${type}\``).join(', ')}.`]
  return [
    ...types,
    ...fieldTable([...query, ...(first ?? [])]),
    ...alternatives.filter((rows) => rows.length > 0).flatMap((rows) => ['Or:', ...fieldTable(rows)]),
    ...(example === undefined ? [] : [`For example${fence('json', JSON.stringify(example))}`]),
  ]
}

const fieldTable = (rows: readonly (readonly string[])[]): readonly string[] =>
  rows.length === 0 ? [] : [table(['Field', 'In', 'Type', 'Meaning'], rows)]

const parameterRow = ({ name, schema, description = '', required = false }: Parameter): readonly string[] => [
  `\`${name}\``,
  where('query', required),
  typeInWords(schema),
  meaning(description, schema.default),
]

const bodyRows = (form: Schema, known: Schema | null): readonly (readonly string[])[] =>
  fieldsOf(form, known).map(({ name, required, schema }: Field) => [
    `\`${name}\``,
    where('body', required, name),
    schema.items !== undefined && isSame(schema.items, known) ? `${typeInWords(schema)} as above` : typeInWords(schema),
    meaning(schema.description ?? '', schema.default),
  ])

/** A field of an object that may be left out is required only where that object is there. */
function where(place: string, required: boolean, name = ''): string {
  const inside = name.includes('.') ? ` in \`${name.slice(0, name.lastIndexOf('.'))}\`` : ''
  return required ? `${place}, required${inside}` : place
}

const meaning = (description: string, fallback: unknown): string =>
  [description, ...(fallback === undefined ? [] : [`Default: \`${fallback}\`.`])].filter((part) => part !== '').join(' ')

/** Answers that are no errors: an example of each, or its fields. */
function answers(responses: Operation['responses'], told: Map<string, string>, title: string): string {
  const lines = new Map<string, string[]>()
  for (const [status, { content = {} }] of Object.entries(responses)) {
    if (!status.startsWith('2')) continue
    const [answer] = Object.entries(content)
    const words = answer === undefined ? ' without a body.' : answerInWords(...answer, told, title)
    lines.set(words, [...(lines.get(words) ?? []), `\`${status}\``])
  }
  return [...lines].map(([words, statuses]) => `Answers ${statuses.join(' or ')}${words}`).join('\n\n')
}

function answerInWords(type: string, media: Media, told: Map<string, string>, title: string): string {
  const { schema } = media
  const example = exampleIn(media)
  if (!/[/+]json$/.test(type)) return ` as \`${type}\`${example === undefined ? '' : `: \`${example}\``}.`
  if (example !== undefined && schema.anyOf === undefined) return fence('json', JSON.stringify(example))
  const text = JSON.stringify(schema)
  const before = told.get(text)
  if (before !== undefined && before !== title) return `, as [${before}](#${anchor(before)}) does.`
  told.set(text, title)
  return fence('', (schema.anyOf ?? [schema]).map(shape).join('\n'))
}

const exampleIn = ({ schema, example }: Media): unknown => example ?? exampleOf(schema)

const fence = (language: string, text: string): string => `:\n\n\`\`\`${language}\n${text}\n\`\`\``

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
