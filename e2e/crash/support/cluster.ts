import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Client } from '../../support/client.ts'
import { type Owner, temporaryDirectory, whenDone } from '../../support/owner.ts'
import { ERROR_LEVEL, ServerProcess } from '../../support/server-process.ts'
import { Balancer } from './balancer.ts'
import { Lifetime } from './lifetime.ts'
import type { Random } from './seed.ts'
import { WorkerProcess, type WorkerSettings } from './worker-process.ts'

export interface ClusterSettings {
  readonly databaseUrl: string
  readonly servers: number
  readonly workers: number
  readonly work: Pick<WorkerSettings, 'queues' | 'concurrency' | 'leaseSeconds'>
}

/** Several servers on one database, a balancer before them, and workers behind that. Whichever is killed is replaced. */
export class Cluster {
  /** Of the balancer. */
  readonly url: string
  readonly client: Client
  readonly journal: string
  /** Workers that were killed, and when. */
  readonly killedAt = new Map<string, number>()
  readonly #servers: readonly Post<ServerProcess>[]
  readonly #workers: readonly Post<WorkerProcess>[]
  readonly #replacing: Promise<void>[] = []
  /** Who has not been killed yet since all had their turn. */
  #spared: readonly Post<ServerProcess | WorkerProcess>[] = []
  #serverKills = 0

  private constructor(
    lifetime: Lifetime,
    balancer: Balancer,
    servers: readonly Post<ServerProcess>[],
    settings: ClusterSettings,
  ) {
    this.url = balancer.url
    this.client = new Client(this.url)
    this.journal = join(temporaryDirectory(lifetime), 'journal')
    this.#servers = servers
    let begun = 0
    const begin = async (): Promise<WorkerProcess> => {
      const place = { name: `w${++begun}`, url: this.url, journal: this.journal }
      const worker = new WorkerProcess(lifetime, { ...place, ...settings.work })
      await worker.started()
      return worker
    }
    this.#workers = Array.from({ length: settings.workers }, () => new Post(begin))
  }

  /** With all servers and workers running. */
  static async open(owner: Owner, settings: ClusterSettings): Promise<Cluster> {
    const lifetime = new Lifetime()
    whenDone(owner, () => lifetime.end())
    const begin = (): Promise<ServerProcess> => beginServer(lifetime, settings.databaseUrl)
    const servers = Array.from({ length: settings.servers }, () => new Post(begin))
    const balancer = await Balancer.open(lifetime, () => servers.flatMap(({ member }) => member?.port ?? []))
    const cluster = new Cluster(lifetime, balancer, servers, settings)
    await Promise.all([...cluster.#servers, ...cluster.#workers].map((post) => post.fill()))
    // Read here once: a server that is killed meanwhile would leave all later answers unchecked.
    await cluster.client.openApi()
    return cluster
  }

  get serverKills(): number {
    return this.#serverKills
  }

  /** Kills one of the servers and workers, each in its turn and in no order, and has it replaced. */
  killOne(random: Random): void {
    const post = this.#draw(random)
    if (post === undefined) return
    if (post.member instanceof ServerProcess) this.#serverKills++
    const replacing = post.replace((member) => {
      if (member instanceof WorkerProcess) this.killedAt.set(member.name, member.killedAt!)
    })
    // Those who ask whether all is whole again are told.
    replacing.catch(() => undefined)
    this.#replacing.push(replacing)
  }

  /** Resolves when whatever was killed has been replaced. */
  async whole(): Promise<void> {
    for (const replaced of await Promise.allSettled(this.#replacing)) if (replaced.status === 'rejected') throw replaced.reason
  }

  /** Lets the workers finish what they have in hand, and end. */
  async dismiss(): Promise<void> {
    await Promise.all(this.#workers.map(({ member }) => member?.stop()))
  }

  /**
   * On a busy machine processes may die faster than others start; of each kind at most half are replaced at once.
   * @returns `undefined` if none is to be killed now.
   */
  #draw(random: Random): Post<ServerProcess | WorkerProcess> | undefined {
    const expendable = [this.#servers, this.#workers].flatMap((posts) => {
      const up = posts.filter(({ member }) => member !== null)
      return up.length > posts.length / 2 ? up : []
    })
    if (this.#spared.length === 0) this.#spared = [...this.#servers, ...this.#workers]
    const victims = expendable.filter((post) => this.#spared.includes(post))
    if (victims.length === 0) return undefined
    const post = random.pick(victims)
    this.#spared = this.#spared.filter((spared) => spared !== post)
    return post
  }
}

/** Where one process after the other does the same. */
class Post<Member extends ServerProcess | WorkerProcess> {
  readonly #begin: () => Promise<Member>
  #member: Member | null = null

  constructor(begin: () => Promise<Member>) {
    this.#begin = begin
  }

  /** `null` while the next one starts. */
  get member(): Member | null {
    return this.#member
  }

  async fill(): Promise<void> {
    this.#member = await this.#begin()
  }

  async replace(onKilled: (member: Member) => void): Promise<void> {
    const member = this.#member!
    this.#member = null
    const killed = member.kill()
    onKilled(member)
    await killed
    await this.fill()
  }
}

/** What a server says that finds no database when it starts. Whoever keeps it running starts it again. */
const NO_DATABASE = /The database cannot be reached/

const GIVE_UP_MS = 60_000

async function beginServer(owner: Owner, databaseUrl: string): Promise<ServerProcess> {
  const deadline = performance.now() + GIVE_UP_MS
  while (true) {
    const server = new ServerProcess(owner, { flags: ['--database-url', databaseUrl] })
    server.mayLogErrors = true
    try {
      await server.listening()
      whenDone(owner, () => assertComplaints(server))
      return server
    } catch (error) {
      if (!NO_DATABASE.test((error as Error).message) || performance.now() > deadline) throw error
    }
  }
}

/** What a server may complain of: that the database is away. */
const AWAY: ReadonlySet<unknown> = new Set(['storage_unavailable', 'storage_outcome_unknown'])

function assertComplaints({ log }: ServerProcess): void {
  const complaints = log.filter(({ level }) => level >= ERROR_LEVEL)
  const others = complaints.filter(({ err }) => !AWAY.has((err as { readonly code?: unknown } | undefined)?.code))
  assert.deepEqual(others.slice(0, 5), [], 'errors in a server’s log')
}
