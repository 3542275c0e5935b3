import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Worker } from '@octoflow/protocol'
import { keyFilePath, readKeyFile } from '../../config/key-file.ts'
import { ApiClient, connect } from '../client/api-client.ts'
import { whyPending } from '../client/jobs.ts'
import { pages } from '../client/pages.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import { countOf, humanSeconds } from '../output/format.ts'
import { Progress } from '../output/progress.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'
import { captureAll } from './capture.ts'
import { Child } from './child.ts'
import { Finishing } from './finishing.ts'
import type { DemoOptions } from './index.ts'
import { collect, type Measured, printReport } from './report.ts'
import { exampleHandler, exampleWebhooks, type Webhook } from './webhooks.ts'

const QUEUE = 'github'

/** Starts what is needed, runs the demo and takes everything away again, however it ends. */
export async function runDemo(session: Session, options: DemoOptions): Promise<void> {
  const webhooks = exampleWebhooks()
  const handler = exampleHandler()
  const say = (text: string): void => {
    if (!options.json) session.err.line(session.err.paint('dim', text))
  }
  await using stack = new AsyncDisposableStack()
  const client = options.url === undefined ? await startServer(session, options, stack) : await connect(session, options)
  say(`The server is at ${client.address.url}.`)
  const finishing = await Finishing.open(client)
  stack.defer(() => finishing.close())
  const worker = await startWorker(session, client, handler, options)
  stack.defer(() => worker.stop())
  const measured = await Promise.race([measure(session, client, { webhooks, finishing, say }, options), worker.untilItFails()])
  const report = await collect(client, measured)
  printReport(session, report, options)
  const left = report.captured - report.completed
  if (left > 0)
    session.fail(
      new CommandError(
        ExitCode.failed,
        `${countOf(left, 'webhook')} did not complete.`,
        'The report tells what became of them.',
      ),
    )
}

/** A server of the demo's own, in a directory that is removed with it. */
async function startServer(session: Session, options: DemoOptions, stack: AsyncDisposableStack): Promise<ApiClient> {
  const { host, signal } = session
  const cwd = await mkdtemp(join(tmpdir(), 'octoflow-demo-'))
  stack.defer(() => rm(cwd, { recursive: true, force: true }))
  const args = ['serve', '--port', '0', ...(options.databaseUrl === undefined ? [] : ['--database-url', options.databaseUrl])]
  const { child, line } = await Child.start(host, args, { cwd, ready: /listening on http/ })
  stack.defer(() => child.stop())
  const url = /listening on (\S+)/.exec(line)![1]!
  const key = readKeyFile(keyFilePath(join(cwd, 'data')))
  return new ApiClient({ url, urlFrom: 'the demo', key, keyFrom: 'the demo' }, signal)
}

/** The key is not among the arguments, which every program of the machine can see. */
async function startWorker({ host }: Session, { address }: ApiClient, handler: string, options: DemoOptions): Promise<Child> {
  const args = ['worker', handler, '--queue', QUEUE, '--concurrency', String(options.concurrency), '--url', address.url]
  const env: Record<string, string> = address.key === null ? {} : { OCTOFLOW_KEY: address.key }
  const { child } = await Child.start(host, args, { ready: /^Working on/, env })
  return child
}

interface Parts {
  readonly webhooks: readonly Webhook[]
  readonly finishing: Finishing
  readonly say: (text: string) => void
}

async function measure(
  { err, signal }: Session,
  client: ApiClient,
  { webhooks, finishing, say }: Parts,
  options: DemoOptions,
): Promise<Measured> {
  await untilWorkerSeen(client, signal)
  say('A worker process takes the jobs.')
  const progress = new Progress(err, { label: 'Working off', unit: 'webhooks', shown: options.json !== true })
  finishing.onProgress = (finished) => progress.update(finished, webhooks.length)
  finishing.onStalled = (id) => void explain(client, id, say)
  try {
    const begunAt = performance.now()
    const captured = await captureAll(client.address, webhooks, QUEUE, signal)
    const capturedAt = performance.now()
    progress.end()
    say(`Captured ${countOf(captured.length, 'webhook')} in ${humanSeconds((capturedAt - begunAt) / 1_000)}.`)
    await finishing.untilAll(
      captured.map(({ id }) => id),
      signal,
    )
    const wholeMs = performance.now() - begunAt
    progress.end()
    say(`All are worked off after ${humanSeconds(wholeMs / 1_000)}.`)
    return { captured, captureMs: capturedAt - begunAt, wholeMs }
  } finally {
    progress.end()
  }
}

/** Says why nothing goes on, as far as that can be told. */
async function explain(client: ApiClient, id: number, say: (text: string) => void): Promise<void> {
  const reasons = await whyPending(client, id).catch(() => [])
  say(`Job ${id} has not finished. ${oneLine(reasons.join(' '))}`)
}

const LOOK_EVERY_MS = 25

/** Until a worker has asked for jobs, so that its start does not count. */
async function untilWorkerSeen(client: ApiClient, signal: AbortSignal): Promise<void> {
  for (;;) {
    for await (const { items } of pages<Worker>(client, '/workers', {}, Number.POSITIVE_INFINITY))
      if (items.some(({ queues, alive }) => alive && queues.includes(QUEUE))) return
    await pause(LOOK_EVERY_MS, undefined, { signal })
  }
}
