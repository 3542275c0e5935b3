import type { JobDetail, JobState, TimelineEntry } from '@octoflow/protocol'
import { memberText } from '../../lib/raw-json.ts'
import { fromIso, humanDuration } from '../../lib/time.ts'
import { between, prettyJson, shortTime, timeOfDay } from '../output/format.ts'
import type { Screen, Style } from '../output/screen.ts'
import { fields } from '../output/table.ts'
import { manyLines, oneLine } from '../output/text.ts'

export const STATE_STYLES: Readonly<Record<JobState, Style>> = {
  pending: 'yellow',
  running: 'cyan',
  completed: 'green',
  cancelled: 'gray',
  dead: 'red',
}

/** A longer payload is cut off; a result is what one looks for, and shown in full. */
const PAYLOAD_LINES = 24

/** A job's own fields, its payload and its result. @param text the answer that `job` was read from. */
export function printJob(screen: Screen, job: JobDetail, text: string, { payload = true } = {}): void {
  const { id, state, labels, progress, startedAt, finishedAt, runAt, createdAt, reason, error } = job
  const optional = (value: string | null): string | null => (value === null ? null : oneLine(value))
  screen.line(`${screen.paint('bold', `Job ${id}`)}  ${screen.paint(STATE_STYLES[state as JobState], state)}`)
  fields(screen, [
    ['queue', oneLine(job.queue)],
    ['submitted', shortTime(createdAt)],
    ['due', state === 'pending' && runAt !== createdAt ? shortTime(runAt) : null],
    ['started', startedAt === null ? null : shortTime(startedAt)],
    ['finished', finishedAt === null ? null : `${shortTime(finishedAt)}, after ${between(createdAt, finishedAt)}`],
    ['attempt', job.attempt === 0 ? null : `${job.attempt}${job.maxAttempts === null ? '' : ` of ${job.maxAttempts}`}`],
    ['worker', optional(job.worker)],
    ['priority', job.priority === 5 ? null : String(job.priority)],
    ['unique key', optional(job.uniqueKey)],
    ['concurrency key', optional(job.concurrencyKey)],
    ['timeout', job.timeoutSeconds === null ? null : `${job.timeoutSeconds} s`],
    ['labels', Object.keys(labels).length === 0 ? null : oneLine(pairs(labels))],
    ['status', optional(job.statusLabel)],
    ['progress', state === 'running' && progress !== null ? progressText(progress) : null],
    ['cancel', state === 'running' && job.cancelRequested ? 'requested' : null],
    ['reason', optional(reason)],
    ['error', error === null ? null : oneLine(error.message)],
  ])
  if (payload) printJson(screen, 'Payload', memberText(text, 'payload'), PAYLOAD_LINES)
  if (state === 'completed') printJson(screen, 'Result', memberText(text, 'result'))
}

const pairs = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')

export const progressText = ({ fraction, message }: NonNullable<JobDetail['progress']>): string =>
  [fraction === null ? '' : `${Math.round(fraction * 100)} %`, oneLine(message ?? '')].filter((part) => part !== '').join(', ')

function printJson(screen: Screen, title: string, text: string | null, atMost = Number.POSITIVE_INFINITY): void {
  if (text === null || text === 'null') return
  screen.line()
  screen.line(screen.paint('bold', title))
  const lines = manyLines(prettyJson(text)).split('\n')
  for (const line of lines.slice(0, atMost)) screen.line(`  ${line}`)
  if (lines.length > atMost) screen.line(screen.paint('dim', `  … ${lines.length - atMost} more lines; --json prints them all`))
}

const LEVEL_STYLES: Readonly<Record<string, Style>> = { debug: 'dim', warn: 'yellow', error: 'red' }

/** All that happened, each line with the time since the first. */
export function printTimeline(screen: Screen, entries: readonly TimelineEntry[]): void {
  screen.line()
  screen.line(screen.paint('bold', 'Timeline'))
  const begunAt = fromIso(entries[0]?.at ?? '') ?? 0
  const since = entries.map(({ at }) => `+${humanDuration(Math.max(0, (fromIso(at) ?? begunAt) - begunAt))}`)
  const width = since.reduce((longest, { length }) => Math.max(longest, length), 0)
  for (const [index, { at, kind, level, message }] of entries.entries()) {
    const style = kind === 'finished' && level === 'info' ? 'green' : LEVEL_STYLES[level]
    const shown = kind === 'log' ? `${level}: ${oneLine(message)}` : oneLine(message)
    const time = screen.paint('dim', `${timeOfDay(at)}  ${since[index]!.padStart(width)}`)
    screen.line(`  ${time}  ${style === undefined ? shown : screen.paint(style, shown)}`)
  }
}

export function printReasons(screen: Screen, reasons: readonly string[]): void {
  screen.line()
  screen.line(screen.paint('bold', 'Why it waits'))
  for (const reason of reasons) screen.line(`  ${oneLine(reason)}`)
}
