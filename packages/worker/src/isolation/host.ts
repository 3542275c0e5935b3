import type { JobRun } from '../job-run.ts'
import { failed, type Outcome } from '../outcome.ts'
import { WorkerError } from '../worker-error.ts'
import type { ChildPort, OpenChild } from './child-port.ts'
import type { FromChild } from './messages.ts'

/** A child and the one job it runs at a time. */
export class Host {
  /** Resolves when the child can run jobs; rejects with a `WorkerError` of code `module_invalid` or `worker_crashed`. */
  readonly ready: Promise<void>
  /** Resolves when the child has ended. */
  readonly ended: Promise<void>
  readonly #port: ChildPort
  readonly #ready = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()
  #alive = true
  #run: JobRun | null = null
  #done: (outcome: Outcome) => void = () => undefined

  constructor(open: OpenChild, href: string) {
    this.ready = this.#ready.promise
    this.ended = this.#ended.promise
    this.#port = open(href, {
      message: (message) => this.#receive(message),
      ended: (how, detail) => this.#crash(how, detail),
    })
  }

  /** Whether it can be given a job; one that is being killed cannot. */
  get alive(): boolean {
    return this.#alive
  }

  get label(): string {
    return this.#port.label
  }

  /** Runs the handler on a job. Never rejects: a child that ends meanwhile is a failure of the attempt. */
  execute(run: JobRun): Promise<Outcome> {
    const { leaseToken, leaseUntil, ...job } = run.claimed
    this.#run = run
    run.onAbort = ({ code }) => this.#port.send({ type: 'abort', cause: code })
    this.#port.send({ type: 'run', job })
    run.started()
    return new Promise((resolve) => {
      this.#done = (outcome) => {
        run.onAbort = null
        this.#run = null
        resolve(outcome)
      }
    })
  }

  runs(run: JobRun): boolean {
    return this.#run === run
  }

  kill(): void {
    this.#alive = false
    this.#port.kill()
  }

  #receive(message: FromChild): void {
    if (message.type === 'ready') this.#ready.resolve()
    else if (message.type === 'done') this.#done(message.outcome)
    else if (message.type === 'unusable') {
      this.#ready.reject(new WorkerError('module_invalid', message.message, { cause: message.detail }))
      this.kill()
    } else if (this.#run !== null) this.#tell(this.#run, message)
  }

  #tell(run: JobRun, message: FromChild): void {
    switch (message.type) {
      case 'event': {
        const stored = (): void => this.#port.send({ type: 'stored', event: message.event })
        void run.event(message.message, message.data).then(stored)
        break
      }
      case 'log':
        run.log(message.level, message.message, message.data)
        break
      case 'progress':
        run.progress(message.fraction, message.message)
        break
      case 'logger':
        run.logger[message.level](message.message, message.fields)
        break
    }
  }

  #crash(how: string, detail: string | null): void {
    this.#alive = false
    const message = `The ${this.label} that ran the handler ${how}.`
    // Without effect unless the child was still starting.
    this.#ready.reject(new WorkerError('worker_crashed', message, { cause: detail }))
    this.ready.catch(() => undefined)
    this.#done(failed(message, 'worker_crashed', detail))
    this.#ended.resolve()
  }
}
