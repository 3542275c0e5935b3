/**
 * Measures Octoflow beside what it is compared with, in one run, and writes bench/RESULTS.md.
 *
 *   npm run bench                          everything
 *   npm run bench -- capture latency       these suites; the others' results stay as they are
 *   npm run bench -- --quick               fewer and shorter runs, to see that it works; writes nothing
 */
import { describeMachine } from './machine.ts'
import { type Report, tellBars, writeReport } from './report.ts'
import { capture } from './suites/capture.ts'
import { engine } from './suites/engine.ts'
import { footprint } from './suites/footprint.ts'
import { growth } from './suites/growth.ts'
import { latency } from './suites/latency.ts'
import { logEvents } from './suites/log-events.ts'
import { manyLogEvents } from './suites/many-log-events.ts'
import { mongodb } from './suites/mongodb.ts'
import { mysql } from './suites/mysql.ts'
import { postgres } from './suites/postgres.ts'
import { remote } from './suites/remote.ts'

export interface BenchOptions {
  /** Counted runs of each candidate. */
  readonly runs: number
  /** Scales how long each run takes; 1 is the published length. */
  readonly scale: number
}

const SUITES: Readonly<Record<string, (options: BenchOptions) => Promise<Report>>> = {
  capture,
  engine,
  remote,
  postgres,
  latency,
  footprint,
  growth,
  events: logEvents,
  many_events: manyLogEvents,
  mysql,
  mongodb,
}

const args = process.argv.slice(2)
const quick = args.includes('--quick')
const named = args.filter((arg) => !arg.startsWith('--'))
const unknown = named.filter((name) => !(name in SUITES) && name !== 'jobs')
if (unknown.length > 0) {
  console.error(
    `There is no suite ${unknown.join(', ')}. There are ${Object.keys(SUITES).join(', ')}, and jobs for engine and remote.`,
  )
  process.exit(2)
}

const wanted = named.flatMap((name) => (name === 'jobs' ? ['engine', 'remote'] : [name]))
const options: BenchOptions = quick ? { runs: 1, scale: 0.1 } : { runs: 5, scale: 1 }
const reports: Report[] = []
for (const [name, suite] of Object.entries(SUITES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.log(`\n# ${name}`)
  reports.push(await suite(options))
}
for (const report of reports) tellBars(report)
if (quick) for (const { details } of reports) console.log(`\n${details.join('\n\n')}`)
else writeReport(reports, await describeMachine())
