import type { Backoff, Queue, RateLimit } from '@octoflow/protocol'
import { count, humanSeconds } from '../output/format.ts'
import type { Screen } from '../output/screen.ts'
import { fields } from '../output/table.ts'
import { oneLine } from '../output/text.ts'

export function printQueue(screen: Screen, queue: Queue): void {
  const { counts } = queue
  const state = queue.paused ? screen.paint('yellow', 'paused') : screen.paint('green', 'active')
  screen.line(`${screen.paint('bold', `Queue ${oneLine(queue.name)}`)}  ${state}`)
  fields(screen, [
    [
      'pending',
      `${count(counts.pending)} (${count(counts.ready)} ready, ${count(counts.scheduled)} scheduled, ${count(counts.held)} held)`,
    ],
    ['running', count(counts.running)],
    ['completed', count(counts.completed)],
    ['cancelled', count(counts.cancelled)],
    ['dead', count(counts.dead)],
    ['workers', count(queue.workers)],
    ['concurrency', queue.concurrency === null ? 'no limit' : `${count(queue.concurrency)} at once`],
    ['key concurrency', `${count(queue.keyConcurrency)} at once of each key`],
    ['rate limit', rate(queue.rateLimit)],
    ['key rate limit', rate(queue.keyRateLimit)],
    ['max attempts', queue.maxAttempts === null ? 'the default' : count(queue.maxAttempts)],
    ['backoff', queue.backoff === null ? 'the default' : backoff(queue.backoff)],
    ['retention', queue.retentionDays === null ? 'as the server’s configuration says' : `${queue.retentionDays} days`],
    ['handler', queue.handler === null ? null : oneLine(queue.handler)],
  ])
}

const rate = (limit: RateLimit | null): string =>
  limit === null ? 'none' : `${count(limit.limit)} within ${humanSeconds(limit.periodSeconds)}`

const backoff = ({ baseSeconds, factor, maxSeconds, jitter }: Backoff): string =>
  `${humanSeconds(baseSeconds)}, each further ${factor} times as long, up to ${humanSeconds(maxSeconds)}, ± ${jitter * 100} %`
