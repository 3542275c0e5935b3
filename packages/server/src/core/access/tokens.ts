import { hash, randomBytes } from 'node:crypto'

/** What is stored and compared instead of a key: SHA-256, hexadecimal. Comparing digests tells nothing about the key. */
export const digest = (token: string): string => hash('sha256', token, 'hex')

/** A new API key: its id, which may be shown, and its text, which holds 192 random bits. */
export function newToken(): { readonly id: string; readonly token: string } {
  const id = randomBytes(6).toString('hex')
  return { id, token: tokenFor(id) }
}

export const tokenFor = (id: string): string => `octo_${id}_${randomBytes(24).toString('base64url')}`
