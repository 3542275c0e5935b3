import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Connection } from '../load/connection.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showMs } from '../report.ts'
import { figuresOf } from '../runs.ts'
import { KEY, ServerProcess } from '../server-process.ts'

const MB = 1024 ** 2
const PAYLOAD = 1000

/** How long a start takes, what the server holds when idle, and what a finished job takes on disk. */
export async function footprint({ runs, scale }: BenchOptions): Promise<Report> {
  const jobs = Math.round(100_000 * scale)
  const data = mkdtempSync(join(tmpdir(), 'octoflow-bench-'))
  const bytesPerJob = await fill(data, jobs)

  const starts: number[] = []
  const idle: number[] = []
  for (let run = 0; run <= 2 * runs; run++) {
    const begun = performance.now()
    const server = await ServerProcess.octoflow([], data)
    const answer = await fetch(`${server.url}/healthz`)
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`)
    const took = performance.now() - begun
    await sleep(2_000 * Math.max(scale, 0.2))
    if (run > 0) {
      starts.push(took)
      idle.push(server.memory().now / MB)
    }
    await server.stop()
    process.stdout.write('.')
  }
  process.stdout.write('\n')
  const start = figuresOf(starts)
  const memory = figuresOf(idle)
  return {
    suite: 'footprint',
    title: 'Start, memory, disk',
    setup: [
      `a database with ${jobs.toLocaleString('en')} finished jobs; ${2 * runs} counted starts, from the start of the process until GET /healthz is answered`,
      `disk: submitted with a payload of ${PAYLOAD} bytes, claimed and completed in batches, with one event each; the payloads’ bytes are subtracted`,
    ],
    bars: [
      { what: 'start until it answers', wanted: '< 500 ms', measured: showMs(start), met: start.median < 500 },
      {
        what: 'resident memory, idle',
        wanted: '< 120 MB',
        measured: `${memory.median.toFixed(0)} MB [${memory.min.toFixed(0)} … ${memory.max.toFixed(0)}]`,
        met: memory.median < 120,
      },
      {
        what: 'disk per finished job, payload aside',
        wanted: '≤ 1 kB',
        measured: `${bytesPerJob.toFixed(0)} bytes`,
        met: bytesPerJob <= 1000,
      },
    ],
    details: [],
  }
}

/** @returns bytes on disk per finished job, without its payload. */
async function fill(data: string, count: number): Promise<number> {
  const server = await ServerProcess.octoflow([], data)
  const connection = await Connection.open(server.url, KEY)
  const payload = JSON.stringify({ data: 'x'.repeat(PAYLOAD - 11) })
  for (let done = 0; done < count; done += 500) {
    const jobs = Array.from({ length: 500 }, () => `{"queue":"bench","payload":${payload}}`)
    await connection.send('POST', '/api/v1/jobs', `{"jobs":[${jobs.join()}]}`)
    const claimed = await connection.send('POST', '/api/v1/queues/bench/claim', '{"workerId":"bench","limit":500}')
    const reports = (JSON.parse(claimed.body) as { jobs: { id: number; leaseToken: string }[] }).jobs.map(
      ({ id, leaseToken }) =>
        `{"id":${id},"leaseToken":"${leaseToken}","outcome":"completed","events":[{"message":"Request processed successfully"}]}`,
    )
    await connection.send('POST', '/api/v1/jobs/report', `{"workerId":"bench","jobs":[${reports.join()}]}`)
  }
  connection.close()
  // Stopping moves the log into the database file.
  await server.stop()
  return server.databaseBytes() / count - PAYLOAD
}
