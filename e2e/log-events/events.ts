import assert from 'node:assert/strict'
import type { Answer, Client } from '../support/client.ts'

/** Short forms of the log events API's calls. */

export interface Event {
  readonly type: string
  readonly timestamp: string
  readonly event_id: string
  readonly event: Readonly<Record<string, unknown>>
}

export interface Result {
  readonly event_id: string
  readonly success: boolean
  readonly error: string
}

export interface Page {
  readonly events: readonly Event[]
  readonly size: number
  readonly from: number
  readonly total: number
  readonly total_exact: boolean
  readonly next: string | null
}

export const AT = '2023-10-01T13:45:00.000Z'

export const user = (id: string, more: Partial<Event> = {}): Event => ({
  type: 'user',
  timestamp: AT,
  event_id: id,
  event: { username: 'my_user', email: 'my_user@email.com', operation: 'write' },
  ...more,
})

export const system = (id: string, more: Partial<Event> = {}): Event => ({
  type: 'system',
  timestamp: AT,
  event_id: id,
  event: { system_id: 'id_123', location: 'europe', operation: 'read' },
  ...more,
})

/** So many seconds after `AT`. */
export const after = (seconds: number): string => new Date(Date.parse(AT) + seconds * 1_000).toISOString()

/** Stores events. @returns what each was answered with. */
export async function post(client: Client, events: readonly unknown[]): Promise<Result[]> {
  const answer = await client.post('/v1/events', { json: events })
  assert.equal(answer.status, 200, answer.text)
  return answer.json as Result[]
}

/** Stores events, all of which must be taken. */
export async function store(client: Client, events: readonly Event[]): Promise<void> {
  for (let at = 0; at < events.length; at += 1_000)
    for (const { success, error } of await post(client, events.slice(at, at + 1_000))) assert.ok(success, error)
}

/** The error of each event, `''` where it was stored. */
export const errorsOf = async (client: Client, events: readonly unknown[]): Promise<string[]> =>
  (await post(client, events)).map(({ error }) => error)

export async function page(client: Client, query = ''): Promise<Page> {
  const answer = await client.get(`/v1/events?${query}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.json as Page
}

/** The ids of all events that match, read page by page. */
export async function idsOf(client: Client, query = ''): Promise<string[]> {
  const ids: string[] = []
  for (let cursor = ''; ; ) {
    const { events, next } = await page(client, `${query}${cursor}`)
    ids.push(...events.map(({ event_id }) => event_id))
    if (next === null) return ids
    cursor = `&cursor=${encodeURIComponent(next)}`
  }
}

/** Holds an error answer against its status and words. */
export function expectDetail(answer: Answer, status: number, detail: unknown): void {
  assert.equal(answer.status, status, answer.text)
  assert.deepEqual(answer.json, { detail })
}
