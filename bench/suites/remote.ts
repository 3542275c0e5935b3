import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Connection } from '../load/connection.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showPerJob, showRate } from '../report.ts'
import { alternate, type Figures, figuresOf } from '../runs.ts'
import { KEY, ServerProcess } from '../server-process.ts'

const LOAD = new URL('../load/worker-load.ts', import.meta.url).pathname

/** Workers over HTTP: claims and completions with leases, and the old protocol at several lengths of the queue. */
export async function remote({ runs, scale }: BenchOptions): Promise<Report> {
  const backlogs = [10, 10_000, scale < 1 ? 50_000 : 1_000_000]
  const batches = Math.round(100_000 * scale)
  const singles = Math.round(40_000 * scale)
  const old = Math.round(10_000 * scale)

  await using native = await ServerProcess.octoflowCounted()
  const nativeRuns = await alternate(
    {
      batches: async () => {
        await submit(native.url, batches)
        return counted(native, batches, () => work(native.url, 'native', 8, 50, batches))
      },
      singles: async () => {
        await submit(native.url, singles)
        return counted(native, singles, () => work(native.url, 'native', 64, 1, singles))
      },
    },
    runs,
  )

  const byBacklog: (readonly [backlog: number, runs: readonly Counted[]])[] = []
  for (const backlog of backlogs) {
    await using server = await ServerProcess.octoflowCounted()
    await submit(server.url, backlog)
    const { taken } = await alternate(
      {
        // As many as are taken are put back, so that the backlog stays what it is.
        taken: async () => {
          await submit(server.url, old)
          return counted(server, old, () => work(server.url, 'capture', 64, 1, old))
        },
      },
      runs,
    )
    byBacklog.push([backlog, taken])
  }

  const inBatches = rateOf(nativeRuns.batches)
  const oneByOne = rateOf(nativeRuns.singles)
  return {
    suite: 'remote',
    title: 'Workers over HTTP',
    setup: [
      'the load generator is a process of its own; every claim leases, every report is committed and synced before it is answered',
      'syncs: commits, of which each syncs the log once; those of checkpoints come on top',
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
      ...byBacklog.map(([backlog, taken]) => {
        const figures = rateOf(taken)
        return {
          what: `old protocol, ${backlog.toLocaleString('en')} waiting`,
          wanted: '≥ 4k jobs/s',
          measured: showRate(figures, 'jobs/s'),
          met: figures.median >= 4_000,
        }
      }),
    ],
    details: [
      [
        '| | syncs of the log per job, claimed and completed |',
        '|---|---|',
        `| in batches of 50, over 8 connections | ${syncsOf(nativeRuns.batches)} |`,
        `| one by one, 64 in flight | ${syncsOf(nativeRuns.singles)} |`,
        ...byBacklog.map(([backlog, taken]) => `| old protocol, ${backlog.toLocaleString('en')} waiting | ${syncsOf(taken)} |`),
      ].join('\n'),
      'Where the time goes is told in [ADR 2](../docs/adr/0002-group-commit-in-the-driver.md#where-the-time-of-a-remote-job-goes).',
    ],
  }
}

interface Counted {
  /** Jobs per second. */
  readonly rate: number
  /** For each job. */
  readonly commits: number
}

async function counted(server: ServerProcess, jobs: number, run: () => Promise<number>): Promise<Counted> {
  const before = await server.commits()
  const rate = await run()
  return { rate, commits: ((await server.commits()) - before) / jobs }
}

const rateOf = (runs: readonly Counted[]): Figures => figuresOf(runs.map(({ rate }) => rate))

const syncsOf = (runs: readonly Counted[]): string => showPerJob(figuresOf(runs.map(({ commits }) => commits)))

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
