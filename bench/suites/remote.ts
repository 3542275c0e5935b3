import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Connection } from '../load/connection.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showRate } from '../report.ts'
import { alternate, figuresOf } from '../runs.ts'
import { KEY, ServerProcess } from '../server-process.ts'

const LOAD = new URL('../load/worker-load.ts', import.meta.url).pathname

/** Workers over HTTP: claims and completions with leases, and the old protocol at several lengths of the queue. */
export async function remote({ runs, scale }: BenchOptions): Promise<Report> {
  const backlogs = [10, 10_000, scale < 1 ? 50_000 : 1_000_000]
  const batches = Math.round(100_000 * scale)
  const singles = Math.round(40_000 * scale)
  const old = Math.round(10_000 * scale)

  await using native = await ServerProcess.octoflow()
  const nativeRuns = await alternate(
    {
      batches: async () => {
        await submit(native.url, batches)
        return work(native.url, 'native', 8, 50, batches)
      },
      singles: async () => {
        await submit(native.url, singles)
        return work(native.url, 'native', 64, 1, singles)
      },
    },
    runs,
  )

  const byBacklog: (readonly [backlog: number, rates: readonly number[]])[] = []
  for (const backlog of backlogs) {
    await using server = await ServerProcess.octoflow()
    await submit(server.url, backlog)
    const { rates } = await alternate(
      {
        // As many as are taken are put back, so that the backlog stays what it is.
        rates: async () => {
          await submit(server.url, old)
          return work(server.url, 'capture', 64, 1, old)
        },
      },
      runs,
    )
    byBacklog.push([backlog, rates])
  }

  const inBatches = figuresOf(nativeRuns.batches)
  const oneByOne = figuresOf(nativeRuns.singles)
  return {
    suite: 'remote',
    title: 'Workers over HTTP',
    setup: [
      'the load generator is a process of its own; every claim leases, every report is committed and synced before it is answered',
      `${batches} jobs in batches of 50 over 8 connections; ${singles} one by one over 64; ${old} by the old protocol over 64 (one poll, one event, two status reports each); ${runs} counted runs`,
    ],
    bars: [
      {
        what: 'claim and complete in batches of 50',
        wanted: '≥ 30k jobs/s',
        measured: showRate(inBatches, 'jobs/s'),
        met: inBatches.median >= 30_000,
      },
      {
        what: 'claim and complete one by one, 64 in flight',
        wanted: '≥ 10k jobs/s',
        measured: showRate(oneByOne, 'jobs/s'),
        met: oneByOne.median >= 10_000,
      },
      ...byBacklog.map(([backlog, rates]) => {
        const figures = figuresOf(rates)
        return {
          what: `old protocol, ${backlog.toLocaleString('en')} waiting`,
          wanted: '≥ 4k jobs/s',
          measured: showRate(figures, 'jobs/s'),
          met: figures.median >= 4_000,
        }
      }),
    ],
    details: [],
  }
}

/** @returns jobs per second. */
async function work(
  url: string,
  mode: 'native' | 'capture',
  connections: number,
  batch: number,
  jobs: number,
): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    LOAD,
    url,
    KEY,
    mode,
    String(connections),
    String(batch),
    String(jobs),
  ])
  return jobs / Number(stdout)
}

async function submit(url: string, count: number): Promise<void> {
  const connection = await Connection.open(url, KEY)
  for (let done = 0; done < count; done += 1000) {
    const jobs = Array.from({ length: Math.min(1000, count - done) }, () => '{"queue":"bench","payload":{"n":1}}')
    const { status, body } = await connection.send('POST', '/api/v1/jobs', `{"jobs":[${jobs.join()}]}`)
    if (status !== 201) throw new Error(body)
  }
  connection.close()
}
