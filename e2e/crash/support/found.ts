import assert from 'node:assert/strict'
import type { Client } from '../../support/client.ts'
import type { Payload } from './submitter.ts'

/** A job as the server has it in the end. */
export interface FoundJob {
  readonly id: number
  readonly queue: string
  readonly state: string
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly runAt: string
  readonly attempt: number
  readonly uniqueKey: string | null
  readonly concurrencyKey: string | null
}

interface FoundRequest {
  readonly id: number
  readonly body: unknown
}

/** A list of the native API, all its pages. */
export async function readAll<Item>(client: Client, path: string): Promise<Item[]> {
  const items: Item[] = []
  let next: string | null = null
  do {
    const from: string = next === null ? '' : `&cursor=${encodeURIComponent(next)}`
    const answer = await client.get(`${path}${path.includes('?') ? '&' : '?'}limit=1000&order=asc${from}`)
    assert.equal(answer.status, 200, answer.text)
    const page = answer.json as { readonly items: readonly Item[]; readonly next: string | null }
    items.push(...page.items)
    next = page.next
  } while (next !== null)
  return items
}

export const readJobs = (client: Client): Promise<FoundJob[]> => readAll<FoundJob>(client, '/api/v1/jobs')

/** The marker of every job, by its id. */
export async function readMarkers(client: Client): Promise<ReadonlyMap<number, string>> {
  const requests = await readAll<FoundRequest>(client, '/api/v1/requests')
  return new Map(requests.map(({ id, body }) => [id, (body as Payload).marker]))
}

export interface JobDetail {
  readonly result: { readonly run: string } | null
  readonly attempts: readonly { readonly attempt: number; readonly outcome: string | null; readonly worker: string | null }[]
}

export async function readDetail(client: Client, id: number): Promise<JobDetail> {
  const answer = await client.get(`/api/v1/jobs/${id}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.json as JobDetail
}

const AT_ONCE = 16

/** The details of many jobs, by id. */
export async function readDetails(client: Client, ids: readonly number[]): Promise<ReadonlyMap<number, JobDetail>> {
  const details = new Map<number, JobDetail>()
  const left = ids.values()
  const read = async (): Promise<void> => {
    for (const id of left) details.set(id, await readDetail(client, id))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, read))
  return details
}

export interface QueueCounts {
  readonly pending: number
  readonly running: number
  readonly completed: number
  readonly cancelled: number
  readonly dead: number
}

export async function readCounts(client: Client): Promise<ReadonlyMap<string, QueueCounts>> {
  const queues = await readAll<{ readonly name: string; readonly counts: QueueCounts }>(client, '/api/v1/queues')
  return new Map(queues.map(({ name, counts }) => [name, counts]))
}
