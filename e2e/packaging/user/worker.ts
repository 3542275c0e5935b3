/** What a user might write, who has the package from the registry: its types must hold, and it must run. */
import { type CapturedRequest, type Job, type ProcessFunction, snooze, Worker, type WorkerOptions } from '@octoflow/worker'

interface Greeting {
  readonly name: string
}

async function greet({ body }: CapturedRequest<Greeting>, job: Job): Promise<object> {
  await job.event(`greeting ${body.name}`)
  job.progress(0.5, 'half way')
  if (job.attempt > 100) job.logger.warn('again and again')
  return { greeting: `Hello ${body.name}` }
}

const later: ProcessFunction<Greeting> = () => snooze(60)

const shared: Pick<WorkerOptions, 'url' | 'authorizationKey' | 'concurrency' | 'signals'> = {
  url: process.env.OCTOFLOW_URL ?? 'http://localhost:5000',
  authorizationKey: process.env.AUTHORIZATION_KEY,
  concurrency: 1,
  signals: false,
}
const module = new URL('./handler.ts', import.meta.url)
const workers = [
  new Worker({ ...shared, customValue: 'inline', process: greet }),
  new Worker({ ...shared, queue: 'later', process: later }),
  new Worker({ ...shared, queue: 'thread', isolation: 'thread', process: module }),
  new Worker({ ...shared, queue: 'process', isolation: 'process', process: module }),
]
await Promise.all(workers.map((worker) => worker.start()))
process.once('SIGTERM', () => Promise.all(workers.map((worker) => worker.stop())))

// @ts-expect-error An option that does not exist is an error of the types already.
export type Misspelt = WorkerOptions['autorizationKey']
