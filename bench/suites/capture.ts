import { startDrumpler } from '../ceilings/drumpler.ts'
import { type WrkResult, wrk } from '../load/wrk.ts'
import type { BenchOptions } from '../main.ts'
import { type Report, showMs, showPercent, showRate, showTimes } from '../report.ts'
import { alternate, figuresOf, ratios } from '../runs.ts'
import { KEY, ServerProcess } from '../server-process.ts'

const BODY = 1024
const CONNECTIONS = 64
const MB = 1024 ** 2

const NOT_MEASURED: WrkResult = { requestsPerSecond: 0, p50: 0, p99: 0, errors: 0 }

/** `POST /request?custom_value=…`: durable, beside the same route that stores nothing, and beside the original. */
export async function capture({ runs, scale }: BenchOptions): Promise<Report> {
  const seconds = Math.max(1, Math.round(8 * scale))
  const load = { seconds, connections: CONNECTIONS, key: KEY, script: 'post.lua', argument: BODY }
  await using ours = await ServerProcess.octoflow()
  await using bare = await ServerProcess.start(process.execPath, [
    new URL('../ceilings/bare-fastify.ts', import.meta.url).pathname,
  ])
  await using drumpler = await startDrumpler()

  let longestLog = 0
  const watch = setInterval(() => {
    longestLog = Math.max(longestLog, ours.logBytes())
  }, 50)
  let cpu = 0
  let captured = 0
  const results = await alternate(
    {
      bare: () => wrk(`${bare.url}/request?custom_value=App`, load),
      ours: async () => {
        const before = ours.cpuSeconds()
        const result = await wrk(`${ours.url}/request?custom_value=App`, load)
        cpu += ours.cpuSeconds() - before
        captured += result.requestsPerSecond * seconds
        return result
      },
      original: async () => (drumpler === null ? NOT_MEASURED : wrk(`${drumpler.url}/request?custom_value=App`, load)),
    },
    runs,
  )
  clearInterval(watch)

  const rate = (name: keyof typeof results) => results[name].map((result) => result.requestsPerSecond)
  const share = ratios(rate('ours'), rate('bare'))
  const p99 = figuresOf(results.ours.map((result) => result.p99))
  const errors = results.ours.reduce((sum, result) => sum + result.errors, 0)
  const timesOriginal = drumpler === null ? null : ratios(rate('ours'), rate('original'))
  const { peak } = ours.memory()
  return {
    suite: 'capture',
    title: 'Capture over HTTP',
    setup: [
      `wrk, 1 thread, ${CONNECTIONS} connections, ${BODY} bytes of JSON, ${seconds} s a run, ${runs} counted runs; every answer is sent after its commit is synced`,
      'the bare route checks the key, validates the query and parses the JSON, and stores nothing',
      drumpler === null
        ? 'the original was not measured: it needs python3 with venv and pip'
        : 'the original: Drumpler 2.2.10, gunicorn with 2 workers, SQLite',
    ],
    bars: [
      { what: 'share of the bare route', wanted: '≥ 70%', measured: showPercent(share), met: share.median >= 0.7 },
      { what: '99th percentile', wanted: '< 10 ms', measured: showMs(p99), met: p99.median < 10 },
      {
        what: 'write-ahead log',
        wanted: '< 256 MB',
        measured: `${(longestLog / MB).toFixed(0)} MB at its longest`,
        met: longestLog < 256 * MB,
      },
      ...(timesOriginal === null
        ? []
        : [{ what: 'the original', wanted: '≥ 60×', measured: showTimes(timesOriginal), met: timesOriginal.median >= 60 }]),
      {
        what: 'memory under full load',
        wanted: '< 250 MB',
        measured: `${(peak / MB).toFixed(0)} MB at its highest`,
        met: peak < 250 * MB,
      },
      { what: 'errors', wanted: '0', measured: String(errors), met: errors === 0 },
    ],
    details: [
      `Octoflow ${showRate(figuresOf(rate('ours')), 'requests/s')}, bare ${showRate(figuresOf(rate('bare')), 'requests/s')}${
        timesOriginal === null ? '' : `, original ${showRate(figuresOf(rate('original')), 'requests/s')}`
      }. ${((cpu / captured) * 1e6).toFixed(0)} µs of processor time per captured request, all threads together.`,
      'Where the time goes is told in [ADR 2](../docs/adr/0002-group-commit-in-the-driver.md#where-the-time-of-a-capture-goes).',
    ],
  }
}
