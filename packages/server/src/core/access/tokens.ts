import { hash, randomBytes } from 'node:crypto'
import { type Instant, MILLISECOND } from '../../lib/time.ts'

/** What is stored and compared instead of a key: SHA-256, hexadecimal. Comparing digests tells nothing about the key. */
export const digest = (token: string): string => hash('sha256', token, 'hex')

/**
 * A new API key: its id, which may be shown, and its text, which holds 192 random bits. Ids begin with the time, so that in
 * order of id is in order of making.
 */
export function newToken(now: Instant): { readonly id: string; readonly token: string } {
  const time = Math.floor(now / MILLISECOND).toString(36)
  const id = `${time.padStart(9, '0')}${randomBytes(4).toString('hex')}`
  return { id, token: tokenFor(id) }
}

export const tokenFor = (id: string): string => `octo_${id}_${randomBytes(24).toString('base64url')}`
