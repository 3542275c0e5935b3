/** Reads what it needs of a JSON value that others made, whether it is there or not. */
export class Payload {
  readonly #value: unknown

  constructor(value: unknown) {
    this.#value = value
  }

  /** What stands at a path such as `issue.user.login`; `undefined` for nothing. */
  at(path: string): unknown {
    let value = this.#value
    for (const name of path.split('.')) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
      value = (value as Record<string, unknown>)[name]
    }
    return value
  }

  /** A text or number as text; empty for anything else. */
  text(path: string): string {
    const value = this.at(path)
    return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  }

  /** The first of these that is there. */
  first(...paths: readonly string[]): string {
    for (const path of paths) {
      const text = this.text(path)
      if (text !== '') return text
    }
    return ''
  }

  /** The items of a list, each to be read likewise. */
  list(path: string): readonly Payload[] {
    const value = this.at(path)
    return Array.isArray(value) ? value.map((item) => new Payload(item)) : []
  }

  /** The names of an object's members. */
  names(path: string): readonly string[] {
    const value = this.at(path)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : []
  }
}
