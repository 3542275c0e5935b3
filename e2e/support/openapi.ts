import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'

export interface Operation {
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Content; readonly required?: boolean }
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>
  readonly security?: readonly object[]
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly schema: Schema
}

export type Content = Readonly<
  Record<string, { readonly schema: Schema; readonly example?: unknown; readonly examples?: unknown }>
>

export type Schema = Readonly<Record<string, unknown>>

/** A route of the document: `/request/{id}` and one of its methods, in capitals. */
export interface Route {
  readonly path: string
  readonly method: string
  readonly operation: Operation
}

/** A route that takes JSON, with the schema of its body. */
export interface RouteWithBody extends Route {
  readonly schema: Schema
}

/** The only member of an error's answer at a path that is none of the native API. */
export const errorMember = (path: string): string => (path.startsWith('/v1/event') ? 'detail' : 'message')

/** A path of the document with its parameters filled in. */
export const fill = (path: string, parameters: Readonly<Record<string, string>>): string =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => parameters[name] ?? `no ${name} given`)

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** The server's own description of its API, to hold its answers against. */
export class OpenApi {
  readonly document: Document
  readonly routes: readonly Route[]
  readonly #patterns: ReadonlyMap<string, RegExp>
  readonly #validators = new Map<Schema, ValidateFunction>()
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true })

  constructor(document: unknown) {
    this.document = document as Document
    this.routes = Object.entries(this.document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
    )
    // What has fewer parameters comes first: `/jobs/next-pending` is not `/jobs/{id}`.
    const paths = Object.keys(this.document.paths).sort((a, b) => a.split('{').length - b.split('{').length)
    this.#patterns = new Map(paths.map((path) => [path, new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`)]))
    formats.default(this.#ajv)
  }

  get routesWithBody(): readonly RouteWithBody[] {
    return this.routes.flatMap((route) => {
      const schema = route.operation.requestBody?.content['application/json']?.schema
      return schema === undefined ? [] : [{ ...route, schema }]
    })
  }

  /** The documented path that `path` is one of; `null` if there is none. */
  template(path: string): string | null {
    return [...this.#patterns].find(([, pattern]) => pattern.test(path))?.[0] ?? null
  }

  find(method: string, path: string): Operation | null {
    const template = this.template(path)
    return template === null ? null : (this.document.paths[template]?.[method.toLowerCase()] ?? null)
  }

  /** In what an answer differs from the document; empty where it does not, or the route is none of the document's. */
  misfits(method: string, path: string, status: number, mediaType: string | null, text: string): readonly string[] {
    const operation = this.find(method, path)
    if (operation === null) return []
    const response = operation.responses[status] ?? operation.responses[`${Math.floor(status / 100)}XX`]
    if (response === undefined) return [`the status ${status} is not documented`]
    if (mediaType === null || text === '') return []
    const media = response.content?.[mediaType]
    if (media === undefined) return [`for the status ${status} the type ${mediaType} is not documented`]
    const validate = this.#validator(media.schema)
    if (validate(/[/+]json$/.test(mediaType) ? JSON.parse(text) : text)) return []
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
  }

  fits(schema: Schema, value: unknown): boolean {
    return this.#validator(schema)(value)
  }

  #validator(schema: Schema): ValidateFunction {
    let validate = this.#validators.get(schema)
    if (validate === undefined) {
      validate = this.#ajv.compile(schema)
      this.#validators.set(schema, validate)
    }
    return validate
  }
}
