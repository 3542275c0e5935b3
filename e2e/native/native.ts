import assert from 'node:assert/strict'
import type {
  Attempt,
  ClaimAnswer,
  ClaimedJob,
  ClaimRequest,
  HeartbeatAnswer,
  Job,
  JobDetail,
  JobReport,
  Operation,
  Problem,
  Queue,
  QueueChange,
  ReportAnswer,
  SubmitJob,
} from '@octoflow/protocol'
import type { Answer, Call, Client } from '../support/client.ts'
import { until } from '../support/until.ts'

/** Short forms of the native API's calls. Each expects success, and gives what the answer holds. */

export const QUEUE = 'emails'

export const WORKER = 'worker-1'

/** @throws unless the call was answered with `status`. */
export function expectStatus(answer: Answer, status: number): Answer {
  assert.equal(answer.status, status, answer.text)
  return answer
}

export const bodyOf = <Body>(answer: Answer, status = 200): Body => expectStatus(answer, status).json as Body

/** Holds an error answer against its status and code. */
export function expectProblem(answer: Answer, status: number, code: string): Problem {
  expectStatus(answer, status)
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
  const problem = answer.json as Problem
  assert.equal(problem.code, code, answer.text)
  assert.equal(problem.status, status)
  return problem
}

export async function read<Body>(client: Client, path: string, call: Call = {}): Promise<Body> {
  return bodyOf<Body>(await client.get(`/api/v1${path}`, call))
}

/** Submits a job, which must be a new one. @returns its id. */
export async function submit(client: Client, job: Partial<SubmitJob> = {}): Promise<number> {
  return bodyOf<{ id: number }>(await client.post('/api/v1/jobs', { json: { queue: QUEUE, ...job } }), 201).id
}

/** Submits jobs in batches, all of which must be new. @returns their ids. */
export async function submitMany(client: Client, jobs: readonly Partial<SubmitJob>[]): Promise<number[]> {
  const ids: number[] = []
  for (let from = 0; from < jobs.length; from += 1_000) {
    const batch = jobs.slice(from, from + 1_000).map((job) => ({ queue: QUEUE, ...job }))
    const answer = await client.post('/api/v1/jobs', { json: { jobs: batch } })
    const { jobs: items } = bodyOf<{ jobs: { id: number; outcome: string }[] }>(answer, 201)
    for (const { id, outcome } of items) {
      assert.equal(outcome, 'created')
      ids.push(id)
    }
  }
  return ids
}

export interface ClaimWish extends Partial<ClaimRequest> {
  readonly queue?: string
}

export async function claimWith(client: Client, { queue = QUEUE, ...wish }: ClaimWish = {}, call: Call = {}) {
  const json = { workerId: WORKER, ...wish }
  return bodyOf<ClaimAnswer>(await client.post(`/api/v1/queues/${encodeURIComponent(queue)}/claim`, { json, ...call }))
}

export async function claim(client: Client, wish: ClaimWish = {}): Promise<ClaimedJob[]> {
  return (await claimWith(client, wish)).jobs
}

/** Claims a job that must be there. */
export async function claimOne(client: Client, wish: ClaimWish = {}): Promise<ClaimedJob> {
  const [job] = await claim(client, { ...wish, limit: 1 })
  assert.ok(job !== undefined, 'there is a job to claim')
  return job
}

/** Submits a job and claims it. */
export async function start(client: Client, job: Partial<SubmitJob> = {}, wish: ClaimWish = {}): Promise<ClaimedJob> {
  const id = await submit(client, job)
  const claimed = await claimOne(client, { queue: job.queue ?? QUEUE, ...wish })
  assert.equal(claimed.id, id)
  return claimed
}

type Held = Pick<ClaimedJob, 'id' | 'leaseToken'>

export const reportOf = ({ id, leaseToken }: Held, report: Omit<JobReport, 'id' | 'leaseToken'>): JobReport => ({
  id,
  leaseToken,
  ...report,
})

export async function tryReport(client: Client, jobs: readonly JobReport[], call: Call = {}): Promise<ReportAnswer['jobs']> {
  const answer = await client.post('/api/v1/jobs/report', { json: { workerId: WORKER, jobs }, ...call })
  return bodyOf<ReportAnswer>(answer).jobs
}

/** Reports on a job, which must be accepted. */
export async function report(client: Client, held: Held, what: Omit<JobReport, 'id' | 'leaseToken'>): Promise<void> {
  assert.deepEqual(await tryReport(client, [reportOf(held, what)]), [{ id: held.id, ok: true }])
}

export async function heartbeat(
  client: Client,
  jobs: readonly Held[],
  { progress, call = {}, ...more }: { workerId?: string; leaseSeconds?: number; progress?: unknown; call?: Call } = {},
): Promise<HeartbeatAnswer['jobs']> {
  const beats = jobs.map(({ id, leaseToken }) => ({ id, leaseToken, ...(progress !== undefined && { progress }) }))
  const answer = await client.post('/api/v1/jobs/heartbeat', { json: { workerId: WORKER, ...more, jobs: beats }, ...call })
  return bodyOf<HeartbeatAnswer>(answer).jobs
}

export async function commandFor(client: Client, held: Held): Promise<string> {
  return (await heartbeat(client, [held]))[0]!.command
}

/** Submits a job and leads it to a final state. @returns its id. */
export async function finish(
  client: Client,
  state: 'completed' | 'cancelled' | 'dead',
  job: Partial<SubmitJob> = {},
): Promise<number> {
  const held = await start(client, job)
  await report(client, held, { outcome: state === 'dead' ? 'discarded' : state })
  assert.equal((await detail(client, held.id)).state, state)
  return held.id
}

export function detail(client: Client, id: number): Promise<JobDetail> {
  return read<JobDetail>(client, `/jobs/${id}`)
}

export async function attempts(client: Client, id: number): Promise<Attempt[]> {
  return (await detail(client, id)).attempts
}

export async function configure(client: Client, change: QueueChange, queue = QUEUE): Promise<Queue> {
  return bodyOf<Queue>(await client.patch(`/api/v1/queues/${encodeURIComponent(queue)}`, { json: change }))
}

export interface Listed<Item> {
  readonly items: Item[]
  readonly next: string | null
}

/** All items of a list, read page by page. @param between called after each page. */
export async function readAll<Item = Job>(
  client: Client,
  path: string,
  between: (page: readonly Item[]) => Promise<unknown> = async () => undefined,
  call: Call = {},
): Promise<Item[]> {
  const items: Item[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const next: string = cursor === '' ? '' : `${path.includes('?') ? '&' : '?'}cursor=${cursor}`
    const page: Listed<Item> = await read<Listed<Item>>(client, `${path}${next}`, call)
    items.push(...page.items)
    cursor = page.next
    if (cursor !== null) await between(page.items)
  }
  return items
}

export async function ids(client: Client, path: string): Promise<number[]> {
  return (await readAll<{ id: number }>(client, path)).map(({ id }) => id)
}

export async function startOperation(client: Client, action: string, filter: object): Promise<Operation> {
  return bodyOf<Operation>(await client.post('/api/v1/operations', { json: { action, filter } }), 202)
}

/** The operation once it is no longer running. */
export function finishedOperation(client: Client, id: number): Promise<Operation> {
  return until(
    async () => {
      const operation = await read<Operation>(client, `/operations/${id}`)
      return operation.state !== 'running' && operation
    },
    { what: `operation ${id} has ended`, withinSeconds: 30 },
  )
}

export const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)
