import { Outage } from '../../../src/core/maintenance/outage.ts'
import type { Logger, Ports } from '../../../src/core/ports.ts'
import type { Service } from '../../../src/lib/service.ts'
import type { Principal } from '../../../src/model/access.ts'
import type { Storage } from '../../../src/storage/contract/storage.ts'
import { Fixture, NOW } from '../../conformance/harness.ts'
import { openMemory } from '../../drivers/sqlite-storage.ts'
import { ManualClock } from './manual-clock.ts'

interface LogLine {
  readonly level: keyof Logger
  readonly message: string
  readonly fields: object
}

export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = []

  readonly debug = this.#line('debug')
  readonly info = this.#line('info')
  readonly warn = this.#line('warn')
  readonly error = this.#line('error')

  /** The messages from `warn` upwards. */
  get troubles(): string[] {
    return this.lines.filter(({ level }) => level === 'warn' || level === 'error').map(({ message }) => message)
  }

  #line(level: keyof Logger) {
    return (fields: object, message: string): void => {
      this.lines.push({ level, message, fields })
    }
  }
}

/** What parts of the core stand on: an empty database, a clock that stands, a log that is kept. */
export interface Core extends AsyncDisposable {
  readonly ports: Ports
  readonly storage: Storage
  readonly clock: ManualClock
  readonly logger: RecordingLogger
  /** The database's verbs in short forms; their `now` is the instant at which the clock begins. */
  readonly db: Fixture
  /** Starts a part, which is stopped at the end of the test. */
  run<Part extends Service>(part: Part): Promise<Part>
  /** The ports with some verbs of the storage replaced. */
  portsWith(change: (storage: Storage) => Partial<Storage>): Ports
}

export async function openCore(): Promise<Core> {
  const opened = await openMemory()
  const { storage } = opened
  await storage.migrations.migrate({ now: NOW })
  const clock = new ManualClock()
  const logger = new RecordingLogger()
  const ports: Ports = { storage, clock, logger, outage: new Outage(clock, logger), random: () => 0.5 }
  const started: Service[] = []
  return {
    ports,
    storage,
    clock,
    logger,
    db: new Fixture(opened),
    async run(part) {
      await part.start()
      started.push(part)
      return part
    },
    portsWith: (change) => ({ ...ports, storage: { ...storage, ...change(storage) } }),
    async [Symbol.asyncDispose]() {
      for (const part of started.toReversed()) await part.stop()
      await opened[Symbol.asyncDispose]()
    },
  }
}

export const ADMIN: Principal = { name: 'tester', role: 'admin', queues: null }

/** A verb that waits before it returns, until the test lets it go. */
export class Gate {
  readonly #reached = Promise.withResolvers<void>()
  readonly #opened = Promise.withResolvers<void>()
  #passed = false

  /** Resolves when somebody stands before the gate. */
  get reached(): Promise<void> {
    return this.#reached.promise
  }

  open(): void {
    this.#opened.resolve()
  }

  /** Holds up the first who comes, and nobody after. */
  async pass(): Promise<void> {
    if (this.#passed) return
    this.#passed = true
    this.#reached.resolve()
    await this.#opened.promise
  }
}

/** A store, or any other object, with some of its methods replaced. */
export function replacing<Store extends object>(store: Store, verbs: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const own = verbs[name as keyof Store] ?? target[name as keyof Store]
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
}
