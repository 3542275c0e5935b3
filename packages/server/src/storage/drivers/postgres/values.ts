/**
 * Values on their way to PostgreSQL and back. Its texts cannot hold the character NUL, which JSON and JavaScript know, so NUL
 * travels as SUB and `0`, and SUB itself as SUB and `1`; neither occurs in practice.
 */
const NUL = '\u0000'
const SUB = '\u001a'

export function encodeText(text: string): string {
  if (!text.includes(NUL) && !text.includes(SUB)) return text
  return text.replaceAll(SUB, `${SUB}1`).replaceAll(NUL, `${SUB}0`)
}

export function decodeText(text: string): string {
  if (!text.includes(SUB)) return text
  return text.replaceAll(`${SUB}0`, NUL).replaceAll(`${SUB}1`, SUB)
}

/** An array of numbers or booleans as PostgreSQL reads it; the client's own way takes each element through a regular expression. */
export function array(values: readonly (number | boolean | null)[]): string {
  return `{${(values.includes(null) ? values.map((value) => value ?? 'NULL') : values).join(',')}}`
}

/** An array of texts as PostgreSQL reads it, still to be encoded. */
export function textArray(values: readonly (string | null)[]): string {
  const json = JSON.stringify(values)
  if (!OTHER_ESCAPE.test(json)) return `{${json.slice(1, -1)}}`
  return `{${values.map((value) => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`
}

/** Quotes and backslashes are escaped in JSON as they are in arrays, and it is written ten times as fast; other characters are not. */
const OTHER_ESCAPE = /\\[^"\\]/

/**
 * A column of many rows, for `unnest`, whose shorter arrays are filled with NULL: where all rows have the same value it is sent
 * once, beside an empty array, and `coalesce(column, value)` gives it to all.
 */
export function column(values: readonly (number | boolean | null)[]): [values: string, value: number | boolean | null] {
  const [first = null] = values
  return values.every((value) => value === first) ? ['{}', first] : [array(values), null]
}

export function textColumn(values: readonly (string | null)[]): [values: string, value: string | null] {
  const [first = null] = values
  return values.every((value) => value === first) ? ['{}', first] : [textArray(values), null]
}

/** The numbers of an array as PostgreSQL writes it. */
export const numbers = (text: string): number[] => JSON.parse(`[${text.slice(1, -1)}]`) as number[]

/** The same, of an array that may hold NULL. */
export const numbersOrNull = (text: string): (number | null)[] =>
  JSON.parse(`[${text.slice(1, -1).replaceAll('NULL', 'null')}]`) as (number | null)[]

/** The texts of a JSON array. */
export function texts(json: string): string[] {
  const values = JSON.parse(json) as string[]
  return json.includes(ESCAPED_SUB) ? values.map((text) => (text === null ? text : decodeText(text))) : values
}

const ESCAPED_SUB = '\\u001a'
