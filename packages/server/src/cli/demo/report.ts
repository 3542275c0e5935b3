import type { JobDetail, Timeline, TimelineEntry } from '@octoflow/protocol'
import { fromIso, MILLISECOND } from '../../lib/time.ts'
import type { ApiClient } from '../client/api-client.ts'
import { printJob, printTimeline } from '../jobs/view.ts'
import type { JsonOption } from '../options.ts'
import { count, humanSeconds } from '../output/format.ts'
import { fields, Table } from '../output/table.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'
import type { Captured } from './capture.ts'

interface EventTotals {
  readonly event: string
  captured: number
  completed: number
  /** What the handler said of the last of them. */
  example: string
}

interface Rate {
  readonly seconds: number
  readonly perSecond: number
}

export interface Report {
  readonly captured: number
  readonly completed: number
  readonly events: readonly EventTotals[]
  readonly throughput: { readonly captured: Rate; readonly workedOff: Rate; readonly endToEnd: Rate }
  readonly failed: readonly {
    readonly id: number
    readonly event: string
    readonly state: string
    readonly error: string | null
  }[]
  readonly job: { readonly detail: JobDetail; readonly text: string; readonly timeline: readonly TimelineEntry[] }
}

/** Its timeline is shown: an event that everybody knows. */
const SHOWN_EVENT = 'pull_request'

const IN_FLIGHT = 16

export interface Measured {
  readonly captured: readonly Captured[]
  /** Until the last answer. */
  readonly captureMs: number
  /** From the first call until the last job has finished. */
  readonly wholeMs: number
}

export async function collect(client: ApiClient, { captured, captureMs, wholeMs }: Measured): Promise<Report> {
  const jobs = await readJobs(client, captured)
  const details = [...jobs.values()].map(({ detail }) => detail)
  const shown = captured.find(({ event }) => event === SHOWN_EVENT) ?? captured[0]!
  const timeline = await client.get<Timeline>(`/jobs/${shown.id}/timeline`)
  const completed = details.filter(({ state }) => state === 'completed').length
  const rate = (number: number, milliseconds: number): Rate => ({
    seconds: Math.round(milliseconds) / 1_000,
    perSecond: Math.round(number / (milliseconds / 1_000)),
  })
  return {
    captured: captured.length,
    completed,
    events: totals(captured, jobs),
    throughput: {
      captured: rate(captured.length, captureMs),
      workedOff: rate(details.length, workingTime(details)),
      endToEnd: rate(details.length, wholeMs),
    },
    failed: captured.flatMap(({ id, event }) => {
      const { state, error, reason } = jobs.get(id)!.detail
      return state === 'completed' ? [] : [{ id, event, state, error: error?.message ?? reason }]
    }),
    job: { ...jobs.get(shown.id)!, timeline: timeline.value.items },
  }
}

type Jobs = ReadonlyMap<number, { readonly detail: JobDetail; readonly text: string }>

async function readJobs(client: ApiClient, captured: readonly Captured[]): Promise<Jobs> {
  const jobs = new Map<number, { readonly detail: JobDetail; readonly text: string }>()
  const waiting = captured.values()
  const reader = async (): Promise<void> => {
    for (const { id } of waiting) {
      const { value, text } = await client.get<JobDetail>(`/jobs/${id}`)
      jobs.set(id, { detail: value, text })
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, reader))
  return jobs
}

/** From the first start to the last end, in milliseconds. */
function workingTime(details: readonly JobDetail[]): number {
  const times = (pick: (job: JobDetail) => string | null): number[] => details.flatMap((job) => fromIso(pick(job) ?? '') ?? [])
  const began = Math.min(...times(({ startedAt }) => startedAt))
  const ended = Math.max(...times(({ finishedAt }) => finishedAt))
  return Math.max(1, (ended - began) / MILLISECOND)
}

function totals(captured: readonly Captured[], jobs: Jobs): readonly EventTotals[] {
  const byEvent = new Map<string, EventTotals>()
  for (const { id, event } of captured) {
    const { state, result } = jobs.get(id)!.detail
    const sums = byEvent.get(event) ?? { event, captured: 0, completed: 0, example: '' }
    sums.captured++
    if (state === 'completed') sums.completed++
    const { summary } = (result ?? {}) as { readonly summary?: unknown }
    if (typeof summary === 'string') sums.example = summary
    byEvent.set(event, sums)
  }
  return [...byEvent.values()].toSorted((a, b) => (a.event < b.event ? -1 : 1))
}

export function printReport({ out }: Session, report: Report, { json }: JsonOption): void {
  const { job, ...rest } = report
  if (json) {
    out.json({ ...rest, job: { ...job.detail, timeline: job.timeline } })
    return
  }
  out.line(out.paint('bold', 'One of the jobs'))
  out.line()
  printJob(out, job.detail, job.text, { payload: false })
  printTimeline(out, job.timeline)
  out.line()
  new Table<EventTotals>(out, [
    { title: 'EVENT', value: ({ event }) => event },
    { title: 'CAPTURED', value: (sums) => count(sums.captured), align: 'right' },
    {
      title: 'COMPLETED',
      value: ({ completed }) => count(completed),
      align: 'right',
      style: ({ captured, completed }) => (completed === captured ? 'green' : 'red'),
    },
    { title: 'SUCH AS', value: ({ example }) => example, flexible: true, optional: 1 },
  ]).rows(report.events)
  out.line()
  printThroughput(out, report)
}

function printThroughput(out: Session['out'], { captured, completed, failed, throughput }: Report): void {
  const shown = ({ perSecond, seconds }: Rate): string => `${count(perSecond)}/s (${humanSeconds(seconds)})`
  fields(out, [
    ['captured', `${count(captured)} webhooks, ${shown(throughput.captured)}`],
    ['worked off', `${count(completed)} completed, ${shown(throughput.workedOff)}`],
    ['end to end', shown(throughput.endToEnd)],
  ])
  for (const { id, event, state, error } of failed.slice(0, 10))
    out.line(out.paint('red', `  job ${id} (${event}) is ${state}${error === null ? '' : `: ${oneLine(error)}`}`))
}
