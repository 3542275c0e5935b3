import { isUtf8 } from 'node:buffer'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { parseJson, toText } from '../../plugins/bodies.ts'

/** A body as it is stored. */
export interface ReceivedBody {
  /** JSON text: what came as JSON, byte for byte; else an object for a form, a string for text, base64 for anything else. */
  readonly text: string
  /** The field `custom_value` of a JSON object, if it is a string. */
  readonly customValue: string | null
}

const EMPTY: ReceivedBody = { text: '{}', customValue: null }

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/
const TEXT_TYPE =
  /^(?:text\/.*|application\/(?:(?:[\w.-]+\+)?xml|x-ndjson|ndjson|jsonl|(?:x-)?yaml|toml|javascript|graphql|sql))$/

/** @throws `invalid_json`, `invalid_body` */
export async function receiveBody(contentType: string | undefined, body: Buffer | undefined): Promise<ReceivedBody> {
  if (body === undefined || body.length === 0) return EMPTY
  const type = (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase()
  if (JSON_TYPE.test(type)) return ofJson(toText(body))
  if (type === '') return ofUnknown(body)
  const value = await readOther(type, contentType!, body)
  return { text: JSON.stringify(value), customValue: null }
}

async function readOther(type: string, contentType: string, body: Buffer): Promise<unknown> {
  if (type === 'application/x-www-form-urlencoded') return toObject(new URLSearchParams(body.toString('utf8')))
  if (type === 'multipart/form-data') return toObject(await readMultipart(contentType, body))
  const text = TEXT_TYPE.test(type) ? decode(body, contentType) : null
  return text ?? toBytes(body, contentType)
}

function ofJson(text: string): ReceivedBody {
  const value = parseJson(text)
  const field = typeof value === 'object' && value !== null && 'custom_value' in value ? value.custom_value : null
  return { text, customValue: typeof field === 'string' ? field : null }
}

/** A body that came without a content type: JSON if it is, else text, else bytes. */
function ofUnknown(body: Buffer): ReceivedBody {
  if (!isUtf8(body)) return { text: JSON.stringify(toBytes(body, 'application/octet-stream')), customValue: null }
  const text = body.toString('utf8')
  try {
    return ofJson(text)
  } catch {
    return { text: JSON.stringify(text), customValue: null }
  }
}

const toBytes = (body: Buffer, contentType: string) => ({ content_type: contentType, base64: body.toString('base64') })

/** @returns `null` for bytes that are not text in the character set they claim. */
function decode(body: Buffer, contentType: string): string | null {
  const charset = /charset="?([\w-]+)/i.exec(contentType)?.[1] ?? 'utf-8'
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body)
  } catch {
    return null
  }
}

type Field = string | { readonly filename: string; readonly content_type: string; readonly base64: string }

/** A field that came several times becomes a list. */
function toObject(fields: Iterable<readonly [string, Field]>): Readonly<Record<string, Field | readonly Field[]>> {
  const object = new Map<string, Field | Field[]>()
  for (const [name, value] of fields) {
    const known = object.get(name)
    object.set(name, known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value])
  }
  return Object.fromEntries(object)
}

async function readMultipart(contentType: string, body: Buffer): Promise<(readonly [string, Field])[]> {
  try {
    const form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData()
    return await Promise.all([...form].map(async ([name, value]) => [name, await toField(value)] as const))
  } catch (error) {
    throw new OctoflowError(
      'invalid_body',
      { reason: 'it is not the multipart form that its content type says' },
      { cause: error },
    )
  }
}

async function toField(value: string | File): Promise<Field> {
  if (typeof value === 'string') return value
  const bytes = Buffer.from(await value.arrayBuffer())
  return { filename: value.name, content_type: value.type, base64: bytes.toString('base64') }
}
