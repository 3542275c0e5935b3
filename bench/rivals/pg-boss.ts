/** pg-boss, if `npm install --prefix bench` was run: the best known queue on PostgreSQL for Node.js that keeps its jobs. */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

interface Boss {
  start(): Promise<unknown>
  stop(options: { readonly graceful: boolean }): Promise<void>
  createQueue(name: string): Promise<void>
  insert(name: string, jobs: readonly { readonly data: object }[]): Promise<unknown>
  fetch(name: string, options: { readonly batchSize: number }): Promise<readonly { readonly id: string }[]>
  complete(name: string, ids: readonly string[]): Promise<unknown>
}

interface Library {
  PgBoss: new (options: object) => Boss
}

/** @returns `null` where it is not installed. */
export async function loadPgBoss(): Promise<Library | null> {
  try {
    const path = createRequire(new URL('../package.json', import.meta.url)).resolve('pg-boss')
    return (await import(pathToFileURL(path).href)) as Library
  } catch {
    return null
  }
}

/** More than one answer of its own loop brings, and as much as it takes without slowing down. */
const BATCH = 1_000
const LOOPS = 2
const QUEUE = 'bench'

export class PgBossQueue implements AsyncDisposable {
  readonly #boss: Boss

  private constructor(boss: Boss) {
    this.#boss = boss
  }

  /** Without its schedules and its upkeep, which would only take time from what is measured. */
  static async open({ PgBoss }: Library, connectionString: string, schema: string): Promise<PgBossQueue> {
    const boss = new PgBoss({ connectionString, schema, schedule: false, supervise: false, max: LOOPS })
    await boss.start()
    await boss.createQueue(QUEUE)
    return new PgBossQueue(boss)
  }

  async submit(count: number): Promise<void> {
    const jobs = Array.from({ length: count }, () => ({ data: { n: 1 } }))
    await this.#boss.insert(QUEUE, jobs)
  }

  /** Fetches and completes until nothing is left. @returns how many jobs that were. */
  async drain(): Promise<number> {
    let done = 0
    const loop = async (): Promise<void> => {
      while (true) {
        const jobs = await this.#boss.fetch(QUEUE, { batchSize: BATCH })
        if (jobs.length === 0) return
        await this.#boss.complete(
          QUEUE,
          jobs.map(({ id }) => id),
        )
        done += jobs.length
      }
    }
    await Promise.all(Array.from({ length: LOOPS }, loop))
    return done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#boss.stop({ graceful: false })
  }
}
