/** A worker process of the crash tests. Its one argument is a `WorkerSettings` as JSON. */
import { existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { type Job, Worker } from '@octoflow/worker'
import { Journal } from './journal.ts'
import type { Task, WorkerSettings } from './worker-process.ts'

const settings = JSON.parse(process.argv[2]!) as WorkerSettings
const journal = new Journal(settings.journal, settings.name)

const GATE_EVERY_MS = 10

const worker = new Worker<Task>({
  url: settings.url,
  authorizationKey: settings.key,
  name: settings.name,
  queues: settings.queues,
  concurrency: settings.concurrency,
  leaseSeconds: settings.leaseSeconds,
  process: (request, job) => perform(request.body, job),
})

/** Ends as the task says; when its signal fires, notes that and ends at once, unless the task is stubborn. */
async function perform({ workMs = 0, gate, failures = 0, stubborn = false }: Task, job: Job): Promise<unknown> {
  const run = journal.begin({ job: job.id, attempt: job.attempt, queue: job.queue, key: job.concurrencyKey })
  try {
    const { signal } = stubborn ? new AbortController() : job
    if (workMs > 0) await setTimeout(workMs, undefined, { signal })
    if (gate !== undefined) await opened(`${gate}-${settings.name}`, signal)
    // A signal that fired while this process was frozen fires at its next turn, which may be this one.
    signal.throwIfAborted()
  } catch (error) {
    journal.end(run, 'aborted', (job.signal.reason as { readonly code?: string } | undefined)?.code ?? String(error))
    throw error
  }
  const failed = job.attempt <= failures
  journal.end(run, failed ? 'failed' : 'done')
  if (failed) throw new Error(`It fails ${failures} times, as it was told to.`)
  return { run }
}

async function opened(path: string, signal: AbortSignal): Promise<void> {
  while (!existsSync(path)) await setTimeout(GATE_EVERY_MS, undefined, { signal })
}

await worker.start()
console.log('started')
process.once('SIGTERM', () => void worker.stop())
await worker.ended
