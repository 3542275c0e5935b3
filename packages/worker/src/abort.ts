/** Why a job's signal fired. */
export const AbortCause = {
  cancelled: 'cancelled',
  leaseLost: 'lease_lost',
  leaseExpired: 'lease_expired',
  timeout: 'timeout',
  shutdown: 'shutdown',
} as const
export type AbortCause = (typeof AbortCause)[keyof typeof AbortCause]

const MESSAGES: Readonly<Record<AbortCause, string>> = {
  cancelled: 'The job was cancelled.',
  lease_lost: 'The lease on the job was lost; another worker may have it.',
  lease_expired: 'The lease on the job ran out because the server could not be reached; another worker may have it.',
  timeout: 'The job ran for longer than its timeout.',
  shutdown: 'The worker is stopping.',
}

/** The reason of a job's signal. Its name is that of all abort errors, so that libraries given the signal know it. */
export class JobAbortedError extends Error {
  override readonly name = 'AbortError'
  readonly code: AbortCause

  constructor(code: AbortCause) {
    super(MESSAGES[code])
    this.code = code
  }
}
