import assert from 'node:assert/strict'
import { OpenApi } from './openapi.ts'
import { KEY } from './server-process.ts'

export interface Call {
  /** A value to send as JSON. */
  readonly json?: unknown
  /** What to send as it is; `type` is its content type, none if left out. */
  readonly body?: string | Uint8Array
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The credential; `null` for none. Left out: the client's own. */
  readonly key?: string | null
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON. @throws if it is none. */
  readonly json: unknown
}

/**
 * Calls a server and holds each answer against what it promises of all of them: that it is as /openapi.json says, and that it
 * shows nothing of the server's inside.
 */
export class Client {
  readonly url: string
  readonly #key: string | null
  /** The servers of one run of tests are all the same, so the document is read from the first. */
  static #openApi: Promise<OpenApi> | null = null

  constructor(url: string, key: string | null = KEY) {
    this.url = url
    this.#key = key
  }

  openApi(): Promise<OpenApi> {
    Client.#openApi ??= fetch(`${this.url}/openapi.json`).then(async (answer) => new OpenApi(await answer.json()))
    return Client.#openApi
  }

  get(path: string, call: Call = {}): Promise<Answer> {
    return this.call('GET', path, call)
  }

  post(path: string, call: Call = {}): Promise<Answer> {
    return this.call('POST', path, call)
  }

  put(path: string, call: Call = {}): Promise<Answer> {
    return this.call('PUT', path, call)
  }

  patch(path: string, call: Call = {}): Promise<Answer> {
    return this.call('PATCH', path, call)
  }

  delete(path: string, call: Call = {}): Promise<Answer> {
    return this.call('DELETE', path, call)
  }

  async call(method: string, path: string, { json, body, type, headers, key = this.#key, signal }: Call = {}): Promise<Answer> {
    const sent = json === undefined ? body : JSON.stringify(json)
    const response = await fetch(`${this.url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...(type !== undefined && { 'content-type': type }),
        ...headers,
      },
      // Of bytes fetch makes no content type of its own.
      ...(sent !== undefined && { body: Buffer.from(sent as string) }),
      ...(signal !== undefined && { signal }),
    })
    const text = await response.text()
    await this.#check(method, path, response, text)
    return {
      status: response.status,
      headers: response.headers,
      text,
      get json() {
        return JSON.parse(text) as unknown
      },
    }
  }

  async #check(method: string, path: string, { status, headers }: Response, text: string): Promise<void> {
    const mediaType = headers.get('content-type')?.replace(/;.*/, '').trim() ?? null
    if (status >= 400) assertDiscreet(text)
    if (method === 'HEAD' || status === 304) return
    const openApi = await this.openApi()
    const misfits = openApi.misfits(method, path.split('?', 1)[0]!, status, mediaType, text)
    assert.deepEqual(
      misfits,
      [],
      `${method} ${path.slice(0, 200)} answered ${status} ${text.slice(0, 500)}, which is not as documented`,
    )
  }
}

/** Fails if an error's text carries a stack trace, SQL or the key. */
export function assertDiscreet(text: string): void {
  assert.doesNotMatch(text, /\\n\s+at |node:internal|node_modules|\.ts:\d+/, 'a stack trace in an answer')
  assert.doesNotMatch(
    text,
    /\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM)\b.*\b(?:FROM|VALUES|SET|WHERE)\b|SQLITE_/,
    'SQL in an answer',
  )
  assert.ok(!text.includes(KEY), 'the key in an answer')
}
