/**
 * JSON texts as they came. Parsing and printing again would lose digits of large numbers, so what a client sent is cut out
 * of its message and put into the answer as text.
 */

/** Where a value stands in its text; `end` is exclusive. */
interface Slice {
  readonly start: number
  readonly end: number
}

/**
 * The text of a member of the object that `text` holds; the last one, where a name stands twice.
 * @param text valid JSON: it must have been parsed before.
 * @returns `null` if the object has no such member, or `text` is no object.
 */
export function memberText(text: string, name: string): string | null {
  const slice = findMember(text, skipSpace(text, 0), name)
  return slice === null ? null : text.slice(slice.start, slice.end)
}

/** The texts of an array's items; none if `text` is no array. `text` must be valid JSON. */
export function itemTexts(text: string): string[] {
  const items: string[] = []
  let at = skipSpace(text, 0)
  if (text[at] !== '[') return items
  at = skipSpace(text, at + 1)
  while (text[at] !== ']') {
    const end = valueEnd(text, at)
    items.push(text.slice(at, end))
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return items
}

/** The JSON text of `object` with further members whose values are JSON texts already. */
export function withMembers(object: object, members: Readonly<Record<string, string | null>>): string {
  let text = JSON.stringify(object).slice(0, -1)
  let separator = text === '{' ? '' : ','
  for (const [name, value] of Object.entries(members)) {
    if (value === null) continue
    text += `${separator}${JSON.stringify(name)}:${value}`
    separator = ','
  }
  return `${text}}`
}

function findMember(text: string, objectStart: number, name: string): Slice | null {
  if (text[objectStart] !== '{') return null
  let found: Slice | null = null
  let at = skipSpace(text, objectStart + 1)
  while (text[at] !== '}') {
    const nameEnd = stringEnd(text, at)
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1)
    const end = valueEnd(text, start)
    if (JSON.parse(text.slice(at, nameEnd)) === name) found = { start, end }
    at = skipSpace(text, end)
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return found
}

function valueEnd(text: string, start: number): number {
  const first = text[start]
  if (first === '"') return stringEnd(text, start)
  if (first !== '{' && first !== '[') return scalarEnd(text, start)
  let depth = 0
  let at = start
  do {
    const character = text[at]
    if (character === '"') {
      at = stringEnd(text, at)
      continue
    }
    if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    at++
  } while (depth > 0)
  return at
}

function stringEnd(text: string, start: number): number {
  let quote = start
  do quote = text.indexOf('"', quote + 1)
  while (isEscaped(text, quote))
  return quote + 1
}

/** Whether an odd number of backslashes stands before the character. */
function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text[before] === '\\') before--
  return (at - 1 - before) % 2 === 1
}

function scalarEnd(text: string, start: number): number {
  let at = start
  while (at < text.length && !',]} \t\n\r'.includes(text[at]!)) at++
  return at
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return at
}
