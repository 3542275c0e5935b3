import { join } from 'node:path'
import { pino } from 'pino'
import { compose } from '../../src/compose.ts'
import { compile } from '../../src/config/compile.ts'
import { settle } from '../../src/config/settle.ts'
import { Authenticator } from '../../src/core/access/authenticator.ts'
import { Dispatcher } from '../../src/core/engine/dispatcher.ts'
import { Roster } from '../../src/core/engine/roster.ts'
import { Leadership } from '../../src/core/leadership/leadership.ts'
import { LogEventRetention } from '../../src/core/log-events/retention.ts'
import { EventRules } from '../../src/core/log-events/rules.ts'
import { LogEventTail } from '../../src/core/log-events/tail.ts'
import { ClockWatch } from '../../src/core/maintenance/clock-watch.ts'
import { Maintenance } from '../../src/core/maintenance/maintenance.ts'
import { Rescue } from '../../src/core/maintenance/rescue.ts'
import type { Ports } from '../../src/core/ports.ts'
import type { HandlerHost } from '../../src/handlers/handler-host.ts'
import type { HttpContext } from '../../src/http/context.ts'
import type { HttpServer } from '../../src/http/server.ts'
import { type CancelTimer, SystemClock } from '../../src/lib/clock.ts'
import type { Service } from '../../src/lib/service.ts'
import type { Duration } from '../../src/lib/time.ts'

const EXAMPLES = join(import.meta.dirname, '../../../../examples')

/** The system's clock, which knows how many of its timers have neither fired nor been stopped. */
export class CountingClock extends SystemClock {
  #pending = 0

  get pending(): number {
    return this.#pending
  }

  override after(delay: Duration, callback: () => void): CancelTimer {
    this.#pending++
    let open = true
    const close = (): void => {
      if (open) this.#pending--
      open = false
    }
    const cancel = super.after(delay, () => {
      close()
      callback()
    })
    return () => {
      close()
      cancel()
    }
  }
}

/** What a service is made of: the parts of a whole server over an empty database in memory, none of them started. */
export interface Parts {
  readonly ports: Ports
  readonly clock: CountingClock
  readonly context: HttpContext
  readonly http: HttpServer
  readonly handlers: HandlerHost
}

/** Every service of the server. A meta-test misses those that are not here. */
export const services: Readonly<Record<string, (parts: Parts) => Service>> = {
  Authenticator: ({ ports, context }) =>
    new Authenticator(ports, context.keys, { staticKeys: [], verifier: null, disabled: false }),
  ClockWatch: ({ ports, clock }) => new ClockWatch(ports, clock, new Leadership(ports, 'this server')),
  Dispatcher: ({ ports }) => new Dispatcher(asShared(ports)),
  EventRules: ({ ports, context }) => eventRules(ports, context),
  HandlerHost: ({ handlers }) => handlers,
  HttpServer: ({ http }) => http,
  Leadership: ({ ports }) => new Leadership(asShared(ports), 'this server'),
  LogEventTail: ({ ports }) => new LogEventTail(asShared(ports)),
  Maintenance: ({ ports, context }) => maintenance(ports, context),
  Rescue: ({ ports, context }) => new Rescue(ports, context.feed),
  Roster: ({ ports }) => new Roster(asShared(ports)),
}

/** With leadership already won, so that its work begins with its start. */
function maintenance(ports: Ports, { operations, feed }: HttpContext): Maintenance {
  const leadership = new Leadership(ports, 'this server')
  void leadership.start()
  const logEventRetention = new LogEventRetention(ports, new Map(), null)
  return new Maintenance(ports, { leadership, operations, feed, logEventRetention }, null)
}

function eventRules(ports: Ports, { intake, logEventTail: tail }: HttpContext): EventRules {
  const leadership = new Leadership(ports, 'this server')
  void leadership.start()
  const rule = { type: null, fields: {}, queue: 'q', concurrencyKey: null, priority: null, maxAttempts: null }
  return new EventRules(ports, { tail, intake, leadership }, [
    { ...rule, name: 'a' },
    { ...rule, name: 'b' },
  ])
}

/** As if other servers used the database too: more is to be done then. */
function asShared({ storage, ...ports }: Ports): Ports {
  const capabilities = { ...storage.capabilities, shared: true, signals: 'none' as const }
  return {
    ...ports,
    storage: {
      ...storage,
      onReady: storage.onReady.bind(storage),
      onLogEvents: storage.onLogEvents.bind(storage),
      close: () => storage.close(),
      capabilities,
    },
  }
}

/** Makes the parts, and gives them back in the end. */
export async function withParts(use: (parts: Parts) => Promise<void>): Promise<void> {
  const clock = new CountingClock()
  const given = { 'database.url': 'sqlite::memory:', 'server.port': '0', 'handlers.directory': 'quickstart/workers' } as const
  const layer = Object.entries(given).map(([key, raw]) => ({
    key: key as keyof typeof given,
    name: key,
    source: 'the test',
    raw,
  }))
  const config = compile(
    settle([[...layer, { key: 'paths.app', name: '', source: 'the test', raw: EXAMPLES }]]).values,
    EXAMPLES,
  )
  const server = await compose(config, { logger: pino({ level: 'silent' }), version: '0', keys: [], clock })
  const { ports } = server.context
  await ports.storage.migrations.migrate({ now: clock.now() })
  try {
    await use({ ports, clock, context: server.context, http: server.http, handlers: server.handlers })
  } finally {
    await server.stop()
  }
}
