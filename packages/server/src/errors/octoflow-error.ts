import { catalogue, type ErrorCode, type ErrorEntry } from './catalogue.ts'

export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>

/**
 * An expected failure: one of the catalogue, with the details of this occurrence. Anything else that is thrown is a
 * bug, logged in full and answered as `internal`.
 */
export class OctoflowError extends Error {
  override readonly name = 'OctoflowError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, details: ErrorDetails = {}, options: { readonly cause?: unknown } = {}) {
    super(fill(catalogue[code].message, details), options)
    this.code = code
    this.details = details
  }

  get entry(): ErrorEntry {
    return catalogue[this.code]
  }

  get hint(): string {
    return fill(this.entry.hint, this.details)
  }
}

/** Puts details in the place of their `{name}`; one that is not given stays as it stands. */
function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    const value = details[name]
    return value === undefined ? placeholder : String(value)
  })
}

export function isOctoflowError(error: unknown, ...codes: readonly ErrorCode[]): error is OctoflowError {
  return error instanceof OctoflowError && (codes.length === 0 || codes.includes(error.code))
}
