/** What can go wrong in a worker beside the jobs themselves; `code` is stable, the message says how to mend it. */
export class WorkerError extends Error {
  override readonly name: string = 'WorkerError'
  readonly code: string

  constructor(code: string, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options)
    this.code = code
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
