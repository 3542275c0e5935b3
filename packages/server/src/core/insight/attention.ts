import { shellWord } from '../../lib/shell-word.ts'
import { type Duration, HOUR, humanDuration } from '../../lib/time.ts'
import type { QueueScope } from '../../model/access.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import type { StatsSums } from '../../storage/contract/stats.ts'
import type { Queues, ServedQueue } from '../jobs/queues.ts'
import { type ClockStep, SKEW_HINT, skewMessage } from '../maintenance/clock-watch.ts'
import type { Ports } from '../ports.ts'
import { NOTHING } from './statistics.ts'

/** Something that a person should look at. */
export interface AttentionItem {
  readonly code: string
  readonly severity: 'info' | 'warning' | 'critical'
  readonly message: string
  readonly hint: string
  readonly queue?: string
  readonly count?: number
}

/** The state of the machine and of this server on it, as far as the core does not know it. */
export interface HostState {
  /** Bytes free for the database; `null` if that cannot be told. */
  diskFree(): Promise<number | null>
  clockStep(): ClockStep | null
  /** How far the machine's clock is behind the database's; `null` while that is not worth mentioning. */
  clockSkew(): Duration | null
  /** The handlers that queues name and that this server cannot use, by queue. */
  unusableHandlers(): ReadonlyMap<string, string>
}

const DISK_LOW = 1024 ** 3
const DISK_CRITICAL = 128 * 1024 ** 2
const FAILING_SHARE = 0.5
const FAILING_ATTEMPTS = 10

/** Gathers what needs a look, from counts and roll-ups alone. */
export class Attention {
  readonly #ports: Ports
  readonly #queues: Queues
  readonly #host: HostState

  constructor(ports: Ports, queues: Queues, host: HostState) {
    this.#ports = ports
    this.#queues = queues
    this.#host = host
  }

  /** First what concerns the server, then queue after queue in order of name; in each page the gravest comes first. */
  async page({ limit, after }: PageRequest<string>, scope: QueueScope): Promise<Page<AttentionItem, string>> {
    const items: AttentionItem[] = []
    let next: string | null = null
    for await (const item of this.#from(after === null ? BEGINNING : positionAt(after), scope)) {
      if (items.length === limit) {
        next = positionOf(items.at(-1)!)
        break
      }
      items.push(item)
    }
    return { items: items.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)), next }
  }

  async *#from({ queue, code }: Position, scope: QueueScope): AsyncGenerator<AttentionItem, void, void> {
    const rest = (items: readonly AttentionItem[]) => inOrder(items).filter((item) => item.code > code)
    if (queue === NO_QUEUE) yield* rest(await this.#hostItems())
    const now = this.#ports.clock.now()
    const totals = await this.#ports.storage.stats.totals({ queues: scope, from: now - HOUR, to: now })
    const itemsOf = (served: ServedQueue) => [
      ...queueItems(served),
      ...unusable(served.queue.name, this.#host.unusableHandlers().get(served.queue.name)),
      ...failing(served.queue.name, totals.get(served.queue.name)),
    ]
    if (queue !== NO_QUEUE) for (const served of await this.#queues.some([queue], scope)) yield* rest(itemsOf(served))
    for await (const served of this.#queues.all(scope, queue === NO_QUEUE ? null : queue)) yield* inOrder(itemsOf(served))
  }

  async #hostItems(): Promise<AttentionItem[]> {
    const items: AttentionItem[] = []
    const free = await this.#host.diskFree()
    if (free !== null && free < DISK_LOW)
      items.push({
        code: 'disk_low',
        severity: free < DISK_CRITICAL ? 'critical' : 'warning',
        message: `The disk of the data directory has ${Math.floor(free / 1024 ** 2)} MiB left.`,
        hint: 'Free some space, or set a retention (`jobs.retentionDays`, or a queue’s `retentionDays`).',
      })
    const step = this.#host.clockStep()
    if (step !== null)
      items.push({
        code: 'clock_stepped',
        severity: 'info',
        message: `The machine’s clock was stepped ${step.by > 0 ? 'forward' : 'back'} by ${humanDuration(Math.abs(step.by))}.`,
        hint: 'Leases were moved along. Times before and after the step do not compare; let the clock be kept by NTP.',
      })
    const skew = this.#host.clockSkew()
    if (skew !== null) items.push({ code: 'clock_skewed', severity: 'warning', message: skewMessage(skew), hint: SKEW_HINT })
    return items
  }
}

interface Position {
  readonly queue: string
  readonly code: string
}

/** What concerns the server comes before all queues, whose names are not empty. */
const NO_QUEUE = ''

const BEGINNING: Position = { queue: NO_QUEUE, code: '' }

/** No code has a space in it. */
const positionOf = ({ code, queue = NO_QUEUE }: AttentionItem): string => `${code} ${queue}`

function positionAt(text: string): Position {
  const end = text.indexOf(' ')
  return end < 0 ? BEGINNING : { code: text.slice(0, end), queue: text.slice(end + 1) }
}

const inOrder = (items: readonly AttentionItem[]): AttentionItem[] => items.toSorted((a, b) => (a.code < b.code ? -1 : 1))

function failing(queue: string, { finished, failed }: StatsSums = NOTHING): AttentionItem[] {
  if (finished < FAILING_ATTEMPTS || failed / finished < FAILING_SHARE) return []
  return [
    {
      code: 'queue_failing',
      severity: 'warning',
      queue,
      count: failed,
      message: `${failed} of ${finished} attempts in the queue "${queue}" failed within the last hour.`,
      hint: 'Look at the errors of its latest jobs; pause the queue while its cause lasts.',
    },
  ]
}

/** What of the server's files is wrong is for its log alone. */
function unusable(queue: string, handler: string | undefined): AttentionItem[] {
  if (handler === undefined) return []
  return [
    {
      code: 'handler_unusable',
      severity: 'warning',
      queue,
      message: `The queue "${queue}" names the handler "${handler}", which cannot be used.`,
      hint:
        'The server’s log tells why. It must be a file below the app’s root that exports `process`; then name it again: ' +
        `\`octoflow queues set ${shellWord(queue)} --handler ${shellWord(handler)}\`.`,
    },
  ]
}

const SEVERITIES: readonly AttentionItem['severity'][] = ['critical', 'warning', 'info']

function queueItems({ queue: { name, paused, counts }, workers }: ServedQueue): AttentionItem[] {
  const items: AttentionItem[] = []
  if (counts.dead > 0)
    items.push({
      code: 'dead_letters',
      severity: 'warning',
      queue: name,
      count: counts.dead,
      message: `The queue "${name}" has ${counts.dead} dead letter${counts.dead === 1 ? '' : 's'}.`,
      hint: '`octoflow dead list` shows why; `octoflow dead replay` runs them again.',
    })
  const waiting = counts.ready + counts.held
  if (waiting > 0 && paused)
    items.push({
      code: 'paused_with_backlog',
      severity: 'info',
      queue: name,
      count: waiting,
      message: `The queue "${name}" is paused while ${waiting} job${waiting === 1 ? ' waits' : 's wait'}.`,
      hint: `\`octoflow queues resume ${shellWord(name)}\` lets them start.`,
    })
  if (waiting > 0 && !paused && workers === 0)
    items.push({
      code: 'no_worker',
      severity: 'warning',
      queue: name,
      count: waiting,
      message: `The queue "${name}" has ${waiting} job${waiting === 1 ? '' : 's'} waiting and no worker.`,
      hint: `Start one: \`octoflow worker FILE --queue ${shellWord(name)}\`.`,
    })
  return items
}
