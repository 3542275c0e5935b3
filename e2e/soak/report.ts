import type { StormCounts } from '../crash/support/storm.ts'
import type { Measurement } from './growth.ts'
import { circumstances, number, table, today, verdict } from './markdown.ts'
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
  const first = measured[1] ?? measured[0]
  const last = measured.at(-1)
  const growthRow = (what: string, of: (at: Measurement) => string): string[] => [
    what,
    first === undefined ? '–' : of(first),
    last === undefined ? '–' : of(last),
  ]
  return `# What the soak found

Made by \`npm run soak -- --minutes ${options.minutes} --kills ${options.kills} --seed ${options.seed}\` on ${today()}.

${verdict(failures)}

${circumstances(`SQLite ${process.versions.sqlite}`)}

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
