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
  let text = '{'
  for (const value of values) text += value === null ? 'NULL,' : `${value},`
  return text.length === 1 ? '{}' : `${text.slice(0, -1)}}`
}

/** An array of texts as PostgreSQL reads it, still to be encoded. */
export function textArray(values: readonly (string | null)[]): string {
  let text = '{'
  for (const value of values) text += value === null ? 'NULL,' : `"${value.replace(/["\\]/g, '\\$&')}",`
  return text.length === 1 ? '{}' : `${text.slice(0, -1)}}`
}

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
export const numbers = (text: string): number[] => (text === '{}' ? [] : text.slice(1, -1).split(',').map(Number))

/** The same, of an array that may hold NULL. */
export const numbersOrNull = (text: string): (number | null)[] =>
  text === '{}'
    ? []
    : text
        .slice(1, -1)
        .split(',')
        .map((number) => (number === 'NULL' ? null : Number(number)))

/** The texts of a JSON array. */
export const texts = (json: string): string[] =>
  (JSON.parse(json) as string[]).map((text) => (text === null ? text : decodeText(text)))
