/** What stands for one value in a statement. */
export type Scalar = string | number | boolean | null

/** A list stands for its members, parted by commas; a list of lists for rows, each in brackets. */
export type Value = Scalar | readonly Scalar[] | readonly (readonly Scalar[])[]

/**
 * A statement with its values in place of the question marks. Statements go to the server as they are: a list has another
 * length each time, so that little is gained by preparing them.
 */
export function format(sql: string, values: readonly Value[]): string {
  if (values.length === 0) return sql
  const parts = sql.split('?')
  if (parts.length !== values.length + 1) throw new Error(`${values.length} values are given for: ${sql}`)
  let text = parts[0]!
  for (const [index, value] of values.entries()) text += literal(value) + parts[index + 1]!
  return text
}

function literal(value: Value): string {
  return typeof value === 'object' && value !== null ? list(value) : scalar(value)
}

/** An empty list has the member NULL, which nothing is equal to. */
function list(values: readonly Scalar[] | readonly (readonly Scalar[])[]): string {
  if (values.length === 0) return 'NULL'
  let text = ''
  for (const value of values) {
    if (text !== '') text += ','
    text += typeof value === 'object' && value !== null ? `(${list(value)})` : scalar(value)
  }
  return text
}

function scalar(value: Scalar): string {
  switch (typeof value) {
    case 'string':
      return `'${NEEDS_ESCAPE.test(value) ? value.replaceAll(ESCAPED, '\\$&') : value}'`
    case 'number':
      return String(value)
    case 'boolean':
      return value ? '1' : '0'
    default:
      return 'NULL'
  }
}

/** All others stand for themselves in a literal of UTF-8, NUL included. */
const NEEDS_ESCAPE = /['\\]/
const ESCAPED = /['\\]/g

/** What goes into a table with one statement: so many rows, and so many characters but for a single larger row. */
const ROWS_AT_ONCE = 500
const CHARACTERS_AT_ONCE = 1_000_000

/** Rows in portions that no server refuses as too large a statement. */
export function* inPortions(rows: readonly (readonly Scalar[])[]): Iterable<readonly (readonly Scalar[])[]> {
  let from = 0
  let characters = 0
  for (const [at, row] of rows.entries()) {
    const size = row.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 8), 0)
    if (at - from === ROWS_AT_ONCE || (at > from && characters + size > CHARACTERS_AT_ONCE)) {
      yield rows.slice(from, at)
      from = at
      characters = 0
    }
    characters += size
  }
  if (from < rows.length) yield rows.slice(from)
}
