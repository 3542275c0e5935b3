import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Client } from '../../support/client.ts'
import { type Owner, temporaryDirectory, whenDone } from '../../support/owner.ts'
import { ServerProcess, type StartOptions } from '../../support/server-process.ts'
import { Lifetime } from './lifetime.ts'
import { WorkerProcess, type WorkerSettings } from './worker-process.ts'

/**
 * One data directory and one port, on which server after server lives and dies, and the workers that speak to them.
 */
export class Site {
  /** For the tests' own files; the server's lie in `data` below it. */
  readonly directory: string
  readonly data: string
  readonly port: number
  readonly url: string
  readonly client: Client
  readonly #owner: Owner
  readonly #options: StartOptions
  #life: Life | null = null
  #workers = 0

  private constructor(owner: Owner, port: number, options: StartOptions) {
    this.#owner = owner
    this.#options = options
    this.directory = temporaryDirectory(owner)
    this.data = options.data ?? join(this.directory, 'data')
    mkdirSync(this.data, { recursive: true })
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    this.client = new Client(this.url)
    whenDone(owner, async () => {
      await this.#life?.end()
    })
  }

  /** With a server that has started. */
  static async open(owner: Owner, options: StartOptions = {}): Promise<Site> {
    const site = new Site(owner, await freePort(), options)
    await site.start()
    // Read here once: a server that is killed meanwhile would leave all later answers unchecked.
    await site.client.openApi()
    return site
  }

  get server(): ServerProcess {
    if (this.#life === null) throw new Error('no server is running')
    return this.#life.server
  }

  /** @returns when it listens. */
  async start(): Promise<void> {
    this.begin()
    await this.server.listening()
  }

  /** Starts a server without waiting for it. */
  begin(): void {
    if (this.#life !== null) throw new Error('a server is running already')
    this.#life = new Life({ ...this.#options, data: this.data, flags: ['--port', String(this.port)] })
  }

  async kill(): Promise<void> {
    await this.server.kill()
    await this.#bury()
  }

  async stop(): Promise<void> {
    await this.server.stop()
    await this.#bury()
  }

  /** A worker that takes jobs. Its name is unique; its journal is `journal` if the settings name no other. */
  async worker(settings: Partial<WorkerSettings> = {}, owner: Owner = this.#owner): Promise<WorkerProcess> {
    const worker = new WorkerProcess(owner, {
      name: `w${++this.#workers}`,
      url: this.url,
      queues: ['work'],
      concurrency: 4,
      leaseSeconds: 5,
      journal: this.journal,
      ...settings,
    })
    await worker.started()
    return worker
  }

  get journal(): string {
    return join(this.directory, 'journal')
  }

  /** Fails if the server had logged an error. */
  async #bury(): Promise<void> {
    const life = this.#life
    this.#life = null
    await life?.end()
  }
}

/** One life of a server. It ends with the server rather than with the test, which may see thousands. */
class Life extends Lifetime {
  readonly server: ServerProcess

  constructor(options: StartOptions) {
    super()
    this.server = new ServerProcess(this, options)
  }
}

const PORTS = { from: 15_000, count: 15_000 } as const

/**
 * A port below those that the system gives to outgoing connections. From among those, a client that tries to reach a dead
 * server could be given the server's own port, be connected to itself, and keep the server from starting again.
 */
async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count)
    if (await isFree(port)) return port
    await setTimeout(1)
  }
  throw new Error(`no free port was found from ${PORTS.from} on`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
