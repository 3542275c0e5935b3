import { OctoflowError } from '../../../errors/octoflow-error.ts'
import type { Connection } from './connection.ts'

/**
 * A text in a document: itself while it is short, else where its parts stand in the collection `texts`. A long one stays out
 * of the document that claims and reports rewrite, and one that is longer than a document may be is cut into several.
 */
export type Text = string | TextParts

/** Parts are numbered one after the other. */
export interface TextParts {
  readonly first: number
  readonly count: number
  /** Of the whole text, in UTF-16 units. */
  readonly length: number
}

/** A longer text stands apart. */
export const INLINE_UP_TO = 4_096

/** In UTF-16 units, of which each takes up to three bytes, or six where it is escaped in the journal; a document may have 16 MiB. */
export const PART_LENGTH = 2_500_000

export const partId = (number: number): string => String(number)

export const partIds = (text: Text | undefined): readonly string[] =>
  text === undefined || typeof text === 'string'
    ? []
    : Array.from({ length: text.count }, (_, index) => partId(text.first + index))

/** Cuts a text, never within a character: half of a surrogate pair has no place in a database. */
export function cut(text: string, length: number): string[] {
  const parts: string[] = []
  for (let start = 0; start < text.length; ) {
    let end = Math.min(text.length, start + length)
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--
    parts.push(text.slice(start, end))
    start = end
  }
  return parts
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff

/** A text was deleted between the reading of its document and its own. */
class TextGone extends Error {}

/**
 * The texts in full, in order.
 * @param inserted gives what a transaction has inserted, which is not in the database yet.
 * @throws what `readWhole` catches.
 */
export async function loadTexts(
  connection: Connection,
  texts: readonly (Text | undefined)[],
  inserted: (id: string) => string | null = () => null,
): Promise<string[]> {
  const parts = new Map<string, string>()
  const missing: string[] = []
  for (const id of texts.flatMap(partIds)) {
    const part = inserted(id)
    if (part === null) missing.push(id)
    else parts.set(id, part)
  }
  for (const { _id, text } of await connection.findByIds('texts', missing)) parts.set(_id, text)
  const partOf = (id: string): string => {
    const part = parts.get(id)
    if (part === undefined) throw new TextGone(`there is no text ${id}`)
    return part
  }
  return texts.map((text) => (typeof text === 'string' ? text : partIds(text).map(partOf).join('')))
}

/** The document of a text that is gone is gone, too, or was given another, before the text was deleted. */
const TRIES = 10

/** Reads anew what was deleted or changed while it was read. */
export async function readWhole<Result>(read: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof TextGone)) throw error
      if (tries === TRIES) throw new OctoflowError('storage_corrupt', { reason: error.message }, { cause: error })
    }
  }
}
