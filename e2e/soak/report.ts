import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import type { StormCounts } from '../crash/support/storm.ts'
import type { Measurement } from './growth.ts'
import type { SoakOptions } from './options.ts'

export interface Outcome {
  readonly options: SoakOptions
  readonly minutes: number
  readonly rounds: readonly StormCounts[]
  readonly measured: readonly Measurement[]
  /** What the server that is never killed was asked for. */
  readonly witnessed: number
  /** What went wrong, in words; empty if nothing did. */
  readonly failures: readonly string[]
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

const LABELS: Readonly<Partial<Record<keyof StormCounts, string>>> = {
  serverKills: 'Servers killed',
  workerKills: 'Workers killed',
  wanted: 'Jobs asked for',
  jobs: 'Jobs made and brought to an end',
  attempts: 'Attempts begun',
  cutOff: 'Attempts cut off by the death of their worker',
  doneTwice: 'Done again because the worker died before it could say that they were done',
  retries: 'Calls repeated under an idempotency key',
  lostAnswers: 'Calls without such a key whose answer was lost',
}

/** The results as Markdown. */
export function report({ options, minutes, rounds, measured, witnessed, failures }: Outcome): string {
  const [processor] = cpus()
  const first = measured[1] ?? measured[0]
  const last = measured.at(-1)
  const growthRow = (what: string, of: (at: Measurement) => string): string[] => [
    what,
    first === undefined ? '–' : of(first),
    last === undefined ? '–' : of(last),
  ]
  return `# What the soak found

Made by \`npm run soak -- --minutes ${options.minutes} --kills ${options.kills} --seed ${options.seed}\` on ${today()}.

${failures.length === 0 ? 'Every promise was kept.' : `**It failed:**\n\n${failures.map((line) => `- ${line}`).join('\n')}`}

- ${cpus().length} × ${processor?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}
- Node ${process.versions.node}, SQLite ${process.versions.sqlite}, commit ${commit()}

A server on one data directory and four workers with four slots each are killed with SIGKILL at random moments, while six
clients submit to the capture and the native API. After each round all jobs have to come to an end, and what was promised is
checked: no acknowledged request is lost, none repeated under an idempotency key is doubled, no job runs beside itself or
beyond the limit of its concurrency key, and none is completed by any but its last attempt. See \`e2e/crash/support/verify.ts\`.

${table([
  [`In ${minutes.toFixed(1)} minutes and ${rounds.length} rounds`, ''],
  ...sums(rounds),
  ['Longest time from the last start until all jobs had ended', `${most(rounds, 'settledSeconds').toFixed(1)} s`],
])}

Beside it, a server and a worker ran all the time and were never killed; ${number(witnessed)} jobs were asked of them. After each round
all finished jobs were deleted, and the sizes were taken:

${table([
  ['', 'after the second round', 'after the last'],
  growthRow('Database file of the server that is killed', ({ file }) => megabytes(file)),
  growthRow('Idempotency keys that it remembers for a day', ({ keys }) => number(keys)),
  growthRow('Memory of the server that is not', ({ serverMemory }) => megabytes(serverMemory)),
  growthRow('Memory of the worker that is not', ({ workerMemory }) => megabytes(workerMemory)),
])}

The most memory that a server had when it was killed was ${megabytes(most(rounds, 'peakMemory'))}.
`
}

const sums = (rounds: readonly StormCounts[]): string[][] =>
  Object.entries(LABELS).map(([name, label]) => {
    const sum = rounds.reduce((total, round) => total + round[name as keyof StormCounts], 0)
    return [label, number(sum)]
  })

const most = (rounds: readonly StormCounts[], name: keyof StormCounts): number =>
  Math.max(0, ...rounds.map((round) => round[name]))

/** A Markdown table as the formatter would have it: the first row is its head, all columns but the first are of numbers. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  const [head, ...body] = rows
  return [head!, rule, ...body].map(line).join('\n')
}

const number = (value: number): string => value.toLocaleString('en')

const today = (): string => new Date().toISOString().slice(0, 10)

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
