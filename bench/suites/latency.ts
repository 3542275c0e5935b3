import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from '../../packages/worker/src/index.ts'
import { Connection } from '../load/connection.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showMs } from '../report.ts'
import { type Figures, figuresOf, percentile } from '../runs.ts'
import { KEY, ServerProcess } from '../server-process.ts'

/** Submits before those that count: the server has just been started. */
const WARM_UP = 200

/** Time between two submits: the server is idle when the next one comes. */
const PAUSE_MS = 5

/** From the answer to a submit until the handler starts, on an idle server. */
export async function latency({ runs, scale }: BenchOptions): Promise<Report> {
  const jobs = Math.round(1_000 * scale)
  const inProcess: number[][] = []
  const overHttp: number[][] = []
  for (let run = 0; run <= runs; run++) {
    const [inside, remote] = [await measureInProcess(jobs), await measureOverHttp(jobs)]
    if (run === 0) continue
    inProcess.push(inside)
    overHttp.push(remote)
    process.stdout.write('.')
  }
  process.stdout.write('\n')
  const at = (series: readonly number[][], share: number): Figures =>
    figuresOf(series.map((values) => percentile(values, share)))
  const bar = (what: string, figures: Figures, limit: number) => ({
    what,
    wanted: `< ${limit} ms`,
    measured: showMs(figures),
    met: figures.median < limit,
  })
  return {
    suite: 'latency',
    title: 'Latency, idle',
    setup: [
      `${jobs} submits a run after ${WARM_UP} to warm up, ${PAUSE_MS} ms apart, ${runs} counted runs; from the moment the submit’s answer has been received until the handler’s first line, both read from the machine’s clock`,
      'in process: `octoflow serve --handlers`; remote: `@octoflow/worker` in another process than the server, by long poll',
    ],
    bars: [
      bar('in process, median', at(inProcess, 0.5), 0.3),
      bar('in process, 99th percentile', at(inProcess, 0.99), 0.8),
      bar('remote worker, median', at(overHttp, 0.5), 1),
      bar('remote worker, 99th percentile', at(overHttp, 0.99), 3),
    ],
    details: [],
  }
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** The machine's clock in milliseconds, comparable between processes. */
const now = (): number => performance.timeOrigin + performance.now()

async function measureInProcess(jobs: number): Promise<number[]> {
  const directory = mkdtempSync(join(tmpdir(), 'octoflow-bench-app-'))
  writeFileSync(join(directory, 'bench.ts'), 'export const process = () => performance.timeOrigin + performance.now()\n')
  await using server = await ServerProcess.octoflow(['--handlers', directory])
  const answered = await submitSlowly(server.url, jobs)
  const connection = await Connection.open(server.url, KEY)
  const waits: number[] = []
  for (const [id, at] of answered) waits.push(Math.max(0, ((await resultOf(connection, id)) as number) - at))
  connection.close()
  return waits
}

async function measureOverHttp(jobs: number): Promise<number[]> {
  await using server = await ServerProcess.octoflow()
  const started = new Map<number, number>()
  const worker = new Worker({
    url: server.url,
    authorizationKey: KEY,
    queue: 'bench',
    concurrency: 8,
    signals: false,
    logger: SILENT,
    process(_request, job) {
      started.set(job.id, now())
    },
  })
  await worker.start()
  const answered = await submitSlowly(server.url, jobs)
  while (started.size < WARM_UP + jobs) await sleep(10)
  await worker.stop()
  return [...answered].map(([id, at]) => Math.max(0, started.get(id)! - at))
}

/** @returns when the answer of each submit had arrived, by job. */
async function submitSlowly(url: string, jobs: number): Promise<Map<number, number>> {
  const connection = await Connection.open(url, KEY)
  const answered = new Map<number, number>()
  for (let i = 0; i < WARM_UP + jobs; i++) {
    await sleep(PAUSE_MS)
    const { body } = await connection.send('POST', '/api/v1/jobs', '{"queue":"bench","payload":{"n":1}}')
    if (i >= WARM_UP) answered.set((JSON.parse(body) as { id: number }).id, now())
  }
  connection.close()
  return answered
}

async function resultOf(connection: Connection, id: number): Promise<unknown> {
  while (true) {
    const { body } = await connection.send('GET', `/api/v1/jobs/${id}`)
    const job = JSON.parse(body) as { state: string; result: unknown }
    if (job.state === 'completed') return job.result
    await sleep(10)
  }
}
