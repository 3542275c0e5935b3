/** What a check found. */
export interface Finding {
  /** What was looked at: `database`. */
  readonly check: string
  /** `problem`: it keeps the server from starting or working. `warning`: it may do so, or surprise. */
  readonly status: 'ok' | 'warning' | 'problem'
  readonly message: string
  /** How to mend it. */
  readonly hint: string | null
}

export const ok = (check: string, message: string): Finding => ({ check, status: 'ok', message, hint: null })

export const warning = (check: string, message: string, hint: string): Finding => ({ check, status: 'warning', message, hint })

export const problem = (check: string, message: string, hint: string): Finding => ({ check, status: 'problem', message, hint })

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
