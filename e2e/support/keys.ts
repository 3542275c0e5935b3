import assert from 'node:assert/strict'
import type { Client } from './client.ts'

export interface NewKey {
  readonly name?: string
  readonly role: 'viewer' | 'producer' | 'worker' | 'operator' | 'admin'
  /** The queues it is limited to; left out, all. */
  readonly queues?: readonly string[]
  readonly expiresAt?: string
}

/** Makes an API key. @returns its text. */
export async function createKey(client: Client, { name = 'test', ...key }: NewKey): Promise<string> {
  const answer = await client.post('/api/v1/keys', { json: { name, ...key } })
  assert.equal(answer.status, 201, answer.text)
  return (answer.json as { readonly key: string }).key
}
