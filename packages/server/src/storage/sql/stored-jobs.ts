import type { Job } from '../../model/job.ts'
import type { JobFilter } from '../../model/job-filter.ts'
import type { Page, PageRequest } from '../contract/page.ts'
import type { JobRecord } from './job-record.ts'
import { type Ids, listIds } from './listing.ts'
import { labelTerms, parseOptions } from './options.ts'
import { stateOf } from './stages.ts'

/** How a driver reads jobs: outside of transactions and within them. */
export interface JobReader<From> {
  idsOf(from: From): Ids
  /** With the names of their queues, in any order; those that do not exist are left out. */
  load(from: From, ids: readonly number[]): Promise<readonly (readonly [job: JobRecord, queue: string])[]>
  /** What jobs run with. */
  payloads(from: From, ids: readonly number[]): Promise<ReadonlyMap<number, string>>
}

/** In the order asked for; those that do not exist are left out. */
export async function findJobs<From>(from: From, reader: JobReader<From>, ids: readonly number[]): Promise<Job[]> {
  if (ids.length === 0) return []
  const found = new Map((await reader.load(from, ids)).map(([job, queue]) => [job.id, toJob(job, queue)]))
  return ids.flatMap((id) => found.get(id) ?? [])
}

export function listJobs<From>(from: From, reader: JobReader<From>, filter: JobFilter, page: PageRequest): Promise<Page<Job>> {
  const text = filter.text?.toLowerCase()
  return listIds(reader.idsOf(from), filter, page, {
    async load(ids) {
      const jobs = (await findJobs(from, reader, ids)).filter((job) => matchesJob(job, filter))
      if (text === undefined) return jobs
      const payloads = await reader.payloads(
        from,
        jobs.map(({ id }) => id),
      )
      return jobs.filter(({ id }) => payloads.get(id)?.toLowerCase().includes(text))
    },
  })
}

/** The part of a filter that the source of ids may not have seen to, but for the text. */
export function matchesJob(job: Job, { queues, states, label }: JobFilter): boolean {
  if (queues !== undefined && !queues.includes(job.queue)) return false
  if (states !== undefined && !states.includes(job.state)) return false
  return label === undefined || labelTerms(job.labels).includes(label)
}

export function toJob(record: JobRecord, queue: string): Job {
  const options = parseOptions(record.options)
  const { queueId: _queueId, handled: _handled, revised: _revised, deadline: _deadline, size: _size, ...job } = record
  const { stage, receivedAt, options: _options, progress, ...rest } = job
  return {
    ...rest,
    queue,
    state: stateOf(stage),
    createdAt: receivedAt,
    backoff: options.backoff ?? null,
    labels: options.labels ?? {},
    progress: progress === null ? null : JSON.parse(progress),
  }
}
