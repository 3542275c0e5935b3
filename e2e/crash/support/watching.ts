import assert from 'node:assert/strict'
import { until } from '../../support/until.ts'
import { type Attempt, readJournal } from './journal.ts'
import type { Site } from './site.ts'
import type { Task } from './worker-process.ts'

/** @returns the id. */
export async function submit(site: Site, task: Task, more: Readonly<Record<string, unknown>> = {}): Promise<number> {
  const answer = await site.client.post('/api/v1/jobs', { json: { queue: 'work', payload: task, ...more } })
  assert.equal(answer.status, 201, answer.text)
  return (answer.json as { readonly id: number }).id
}

/** Submits so many. @returns their ids. */
export async function submitMany(
  site: Site,
  count: number,
  job: (index: number) => Readonly<Record<string, unknown>>,
): Promise<readonly number[]> {
  const ids: number[] = []
  while (ids.length < count) {
    const first = ids.length
    const jobs = Array.from({ length: Math.min(1_000, count - first) }, (_, index) => ({
      queue: 'work',
      ...job(first + index),
    }))
    const answer = await site.client.post('/api/v1/jobs', { json: { jobs } })
    assert.equal(answer.status, 201, answer.text.slice(0, 500))
    ids.push(...(answer.json as { readonly jobs: readonly { readonly id: number }[] }).jobs.map(({ id }) => id))
  }
  return ids
}

/** Resolves with the `nth` attempt at a job, counted from 1, when it has begun. */
export function begun(site: Site, job: number, nth = 1, withinSeconds = 10): Promise<Attempt> {
  const what = `attempt ${nth} at the job ${job} begins`
  return until(() => attemptsAt(site, job)[nth - 1], { what, withinSeconds, everyMs: 10 })
}

/** Resolves with the `nth` attempt at a job when its handler has ended. */
export function concluded(site: Site, job: number, nth = 1, withinSeconds = 10): Promise<Attempt> {
  const what = `attempt ${nth} at the job ${job} ends`
  const look = (): Attempt | false => {
    const attempt = attemptsAt(site, job)[nth - 1]
    return attempt !== undefined && attempt.conclusion !== 'running' && attempt
  }
  return until(look, { what, withinSeconds, everyMs: 10 })
}

export const attemptsAt = (site: Site, job: number): readonly Attempt[] =>
  readJournal(site.journal).filter((attempt) => attempt.job === job)

export interface JobView {
  readonly state: string
  readonly attempt: number
  readonly worker: string | null
  readonly leaseUntil: string | null
  readonly result: { readonly run: string } | null
  readonly attempts: readonly { readonly outcome: string | null }[]
}

export async function view(site: Site, job: number): Promise<JobView> {
  const answer = await site.client.get(`/api/v1/jobs/${job}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.json as JobView
}

export function reached(site: Site, job: number, state: string, withinSeconds = 15): Promise<JobView> {
  const look = async (): Promise<JobView | false> => {
    const seen = await view(site, job)
    return seen.state === state && seen
  }
  return until(look, { what: `the job ${job} is ${state}`, withinSeconds })
}

/** Resolves with a job when its lease ends later than at some time before. */
export function renewed(site: Site, job: number, { leaseUntil }: JobView, withinSeconds = 15): Promise<JobView> {
  const look = async (): Promise<JobView | false> => {
    const seen = await view(site, job)
    return seen.leaseUntil !== null && leaseUntil !== null && seen.leaseUntil > leaseUntil && seen
  }
  return until(look, { what: `the lease of the job ${job} is renewed`, withinSeconds })
}

/** The messages on a job's timeline, its own and those of the server. */
export async function messages(site: Site, job: number): Promise<readonly string[]> {
  const answer = await site.client.get(`/api/v1/jobs/${job}/events?limit=1000`)
  assert.equal(answer.status, 200, answer.text)
  return (answer.json as { readonly items: readonly { readonly message: string }[] }).items.map(({ message }) => message)
}
