import type { JobDetail, StreamJob } from '@octoflow/protocol'
import type { ApiClient } from '../client/api-client.ts'
import { isFinished } from '../client/job-watch.ts'
import type { ServerEvent } from '../client/server-events.ts'

/** The jobs not heard of are looked at this often, since live updates may be missed. */
const LOOK_EVERY_MS = 1_000
const LOOKED_AT = 32

/** After so many looks in a row that found nothing new, something seems to stand in the way. */
const STALLED_AFTER = 10

/** Counts the jobs that have finished. Opened before the first is made, so that none is missed. */
export class Finishing {
  /** Told how many of the jobs have finished, also of those that nobody asked about yet. */
  onProgress: (finished: number) => void = () => undefined
  /** Told of a job that has not finished, when none has for a while. */
  onStalled: (id: number) => void = () => undefined
  readonly #client: ApiClient
  readonly #closed = new AbortController()
  readonly #finished = new Set<number>()
  #changed: () => void = () => undefined

  private constructor(client: ApiClient) {
    this.#client = client
  }

  static async open(client: ApiClient): Promise<Finishing> {
    const finishing = new Finishing(client)
    void finishing.#listen(await client.stream(null, finishing.#closed.signal))
    return finishing
  }

  async untilAll(ids: readonly number[], signal: AbortSignal): Promise<void> {
    let looks = 0
    for (;;) {
      const unfinished = ids.filter((id) => !this.#finished.has(id))
      this.onProgress(ids.length - unfinished.length)
      if (unfinished.length === 0) return
      const changed = await this.#nextChange(signal)
      signal.throwIfAborted()
      looks = changed || (await this.#look(unfinished.slice(0, LOOKED_AT))) ? 0 : looks + 1
      if (looks === STALLED_AFTER) this.onStalled(unfinished[0]!)
    }
  }

  close(): void {
    this.#closed.abort()
  }

  /** @returns `false` if nothing came for a while. */
  #nextChange(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (changed: boolean): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        resolve(changed)
      }
      const onAbort = (): void => end(true)
      const timer = setTimeout(() => end(false), LOOK_EVERY_MS)
      signal.addEventListener('abort', onAbort)
      this.#changed = () => end(true)
      if (signal.aborted) onAbort()
    })
  }

  /** @returns whether any of them has finished. */
  async #look(ids: readonly number[]): Promise<boolean> {
    const answers = await Promise.all(ids.map((id) => this.#client.get<JobDetail>(`/jobs/${id}`)))
    const finished = answers.filter(({ value }) => isFinished(value.state))
    for (const { value } of finished) this.#finished.add(value.id)
    return finished.length > 0
  }

  async #listen(events: AsyncIterable<ServerEvent>): Promise<void> {
    try {
      for await (const { name, data } of events) {
        if (name !== 'job') continue
        const { id, state } = JSON.parse(data) as StreamJob
        if (!isFinished(state)) continue
        this.#finished.add(id)
        this.onProgress(this.#finished.size)
        this.#changed()
      }
    } catch {
      this.#closed.abort()
    }
  }
}
