import type { Instant } from '../lib/time.ts'

/** What a request came in as. */
export const RequestSource = {
  /** `POST /request` of the capture API. */
  capture: 'capture',
  /** `POST /api/v1/jobs`. */
  api: 'api',
  /** A log event that a rule of `on_event` matched. */
  event: 'event',
} as const
export type RequestSource = (typeof RequestSource)[keyof typeof RequestSource]

/** Something that came in, kept as it came. Every job hangs on one. */
export interface CapturedRequest {
  readonly id: number
  readonly receivedAt: Instant
  readonly source: RequestSource
  readonly sourceIp: string | null
  readonly userAgent: string | null
  readonly method: string
  readonly url: string
  /** The headers worth keeping: content type, signatures, idempotency key, forwarded-for. */
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string | null
  /** The body as JSON text, byte for byte where it came as JSON. */
  readonly body: string
  /** The queue of its job; the capture API calls it `custom_value`. `null` if it makes no job. */
  readonly queue: string | null
  readonly handled: boolean
}
