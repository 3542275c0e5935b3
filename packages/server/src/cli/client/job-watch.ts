import type { JobDetail, JobState, StreamJob } from '@octoflow/protocol'
import type { Answer, ApiClient } from './api-client.ts'
import type { ServerEvent } from './server-events.ts'

/** A job is looked at this often beside what the server tells of itself, since not every change is told. */
const LOOK_EVERY_MS = 2_000

/** Looked at more often where somebody watches its progress. */
const WATCHED_EVERY_MS = 500

export interface WatchOptions {
  /** Ends the waiting; what is known by then is returned. */
  readonly signal: AbortSignal
  /** Told how the job is doing at every look. */
  readonly onLook?: ((job: JobDetail) => void) | undefined
}

export const isFinished = (state: JobState): boolean => state !== 'pending' && state !== 'running'

/** Waits until jobs have finished. To be opened before the job is submitted, so that no news of it is missed. */
export class JobWatch {
  readonly #client: ApiClient
  readonly #closed = new AbortController()
  readonly #changed = new Map<number, () => void>()

  private constructor(client: ApiClient) {
    this.#client = client
  }

  static async open(client: ApiClient): Promise<JobWatch> {
    const watch = new JobWatch(client)
    void watch.#listen(await client.stream(null, watch.#closed.signal))
    return watch
  }

  /** @returns the job as it was looked at last. */
  async untilFinished(id: number, { signal, onLook }: WatchOptions): Promise<Answer<JobDetail>> {
    for (;;) {
      const changed = this.#nextChange(id, onLook === undefined ? LOOK_EVERY_MS : WATCHED_EVERY_MS, signal)
      const answer = await this.#client.get<JobDetail>(`/jobs/${id}`)
      if (isFinished(answer.value.state) || signal.aborted) return answer
      onLook?.(answer.value)
      await changed
    }
  }

  close(): void {
    this.#closed.abort()
  }

  /** Resolves at the next news of the job, after a while without any, or when the waiting ends. */
  #nextChange(id: number, withinMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        this.#changed.delete(id)
        resolve()
      }
      const timer = setTimeout(end, withinMs)
      signal.addEventListener('abort', end)
      this.#changed.set(id, end)
      if (signal.aborted) end()
    })
  }

  /** A connection that ends is not made again: looking now and then does as well. */
  async #listen(events: AsyncIterable<ServerEvent>): Promise<void> {
    try {
      for await (const { name, data } of events) {
        if (name === 'job') this.#changed.get((JSON.parse(data) as StreamJob).id)?.()
        else if (name === 'reset') for (const changed of [...this.#changed.values()]) changed()
      }
    } catch {
      this.#closed.abort()
    }
  }
}
