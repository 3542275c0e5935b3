import { randomUUID } from 'node:crypto'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger as PinoLogger } from 'pino'
import type { Config } from './config/compile.ts'
import { maskCredentials } from './config/credentials.ts'
import { Authenticator, type AuthenticatorOptions } from './core/access/authenticator.ts'
import { Keys } from './core/access/keys.ts'
import { CaptureWork } from './core/engine/capture-work.ts'
import { Dispatcher } from './core/engine/dispatcher.ts'
import { Roster } from './core/engine/roster.ts'
import { Work } from './core/engine/work.ts'
import { Feed } from './core/feed.ts'
import { Attention } from './core/insight/attention.ts'
import { Reports } from './core/insight/statistics.ts'
import { DeadLetters } from './core/jobs/dead-letters.ts'
import { Intake } from './core/jobs/intake.ts'
import { Jobs } from './core/jobs/jobs.ts'
import { Operations } from './core/jobs/operations.ts'
import { Queues } from './core/jobs/queues.ts'
import { Requests } from './core/jobs/requests.ts'
import { Leadership } from './core/leadership/leadership.ts'
import { LogEvents } from './core/log-events/log-events.ts'
import { LogEventRetention } from './core/log-events/retention.ts'
import { EventRules } from './core/log-events/rules.ts'
import { LogEventTail } from './core/log-events/tail.ts'
import { ClockWatch } from './core/maintenance/clock-watch.ts'
import { Maintenance } from './core/maintenance/maintenance.ts'
import { Outage } from './core/maintenance/outage.ts'
import { Rescue } from './core/maintenance/rescue.ts'
import type { Ports } from './core/ports.ts'
import { isOctoflowError, OctoflowError } from './errors/octoflow-error.ts'
import { loadEventTypes } from './event-types/event-types.ts'
import { HandlerHost } from './handlers/handler-host.ts'
import type { HttpContext, HttpOptions } from './http/context.ts'
import { buildApp, HttpServer } from './http/server.ts'
import { SystemClock } from './lib/clock.ts'
import type { Service } from './lib/service.ts'
import { DAY, type Duration, type Instant, seconds } from './lib/time.ts'
import { OidcVerifier } from './oauth/oidc-verifier.ts'
import { openStorage } from './open-storage.ts'
import type { Storage } from './storage/contract/storage.ts'

export interface ComposeOptions {
  readonly logger: PinoLogger
  readonly version: string
  /** Static keys beside those of the configuration. */
  readonly keys: readonly string[]
  readonly clock?: SystemClock
}

/** A whole server, built but not started. */
export interface Octoflow {
  readonly http: HttpServer
  readonly handlers: HandlerHost
  readonly context: HttpContext
  /** The OpenAPI document of its APIs; needs no start. */
  openApi(): Promise<object>
  /** @throws OctoflowError for whatever keeps it from starting; then nothing of it is left running. */
  start(): Promise<void>
  /** Finishes what is under way, within `server.shutdownSeconds`. */
  stop(): Promise<void>
}

/** Builds every object once, by hand. Nothing happens until `start()`, except that the database is opened. */
export async function compose(
  config: Config,
  { logger, version, keys: extraKeys, clock = new SystemClock() }: ComposeOptions,
): Promise<Octoflow> {
  const eventTypes = loadEventTypes(join(config.paths.app, EVENT_TYPES))
  const storage = await openStorage(config.database, {
    exclusive: true,
    onError: (reason) => logger.warn({ reason }, 'the database had trouble with its upkeep; it is tried again'),
  })
  const ports: Ports = { storage, clock, logger, outage: new Outage(clock, logger), random: Math.random }

  const feed = new Feed(ports)
  const roster = new Roster(ports)
  const dispatcher = new Dispatcher(ports)
  const intake = new Intake(ports, feed)
  const jobs = new Jobs(ports, roster, feed)
  const queues = new Queues(ports, roster)
  const operations = new Operations(ports)
  const work = new Work(ports, dispatcher, roster, feed)
  const captureWork = new CaptureWork(ports, { work, jobs, feed }, seconds(config.capture.leaseSeconds))
  const keys = new Keys(ports)
  const authenticator = new Authenticator(ports, keys, authentication(config, extraKeys, logger))
  const leadership = new Leadership(ports, randomUUID())
  const logEventTail = new LogEventTail(ports)
  const logEventRetention = new LogEventRetention(ports, eventTypes, toRetention(config.logEvents.retentionDays))
  const maintenance = new Maintenance(
    ports,
    { leadership, operations, feed, logEventRetention },
    toRetention(config.jobs.retentionDays),
  )
  const rescue = new Rescue(ports, feed)
  const eventRules = new EventRules(ports, { tail: logEventTail, intake, leadership }, config.logEvents.rules)
  const clockWatch = new ClockWatch(ports, clock, leadership)
  const attention = new Attention(ports, queues, {
    clockStep: () => clockWatch.lastStep,
    clockSkew: () => clockWatch.skew,
    unusableHandlers: () => handlers.unusable,
    diskFree: () => diskFree(config.paths.data),
  })

  const context: HttpContext = {
    ports,
    version,
    authenticator,
    intake,
    jobs,
    deadLetters: new DeadLetters(ports, jobs),
    requests: new Requests(ports),
    queues,
    operations,
    work,
    captureWork,
    roster,
    keys,
    reports: new Reports(ports),
    attention,
    feed,
    logEvents: new LogEvents(ports, eventTypes),
    logEventTail,
    checkReady: () => storage.upkeep.check(),
  }
  const { host, port, shutdownSeconds, roles } = config.server
  const handlers = new HandlerHost(
    { work, jobs, queues },
    { ...config.handlers, appRoot: config.paths.app, stopWithin: seconds(shutdownSeconds) },
    logger,
  )
  const http = new HttpServer(context, httpOptions(config), { host, port, closeWithin: seconds(shutdownSeconds) }, logger)

  // Started in this order, stopped in the reverse one, but for those on one line: they stop together, since the server can
  // only close when the dispatcher sends those home who wait for jobs.
  const inRole = (role: (typeof roles)[number], ...parts: readonly Service[]) => (roles.includes(role) ? parts : [])
  const services: readonly (readonly Service[])[] = [
    [clockWatch],
    [roster, authenticator, logEventTail],
    inRole('maintenance', leadership),
    inRole('maintenance', maintenance, rescue, eventRules),
    [dispatcher, ...inRole('api', http)],
    inRole('worker', handlers),
  ]
  return {
    http,
    handlers,
    context,
    openApi: () => openApi(context, config, logger),
    start: () => start(services, ports, config),
    stop: () => stop(services, storage),
  }
}

/** Where the app's root has the types of log events. */
const EVENT_TYPES = 'maps/event-types.json'

const toRetention = (days: number | null): Duration | null => (days === null ? null : Math.round(days * DAY))

/** The document of the APIs, which are built for it and thrown away. */
async function openApi(context: HttpContext, config: Config, logger: PinoLogger): Promise<object> {
  const app = await buildApp(context, httpOptions(config), logger)
  const document = app.swagger()
  await app.close()
  return document
}

async function start(services: readonly (readonly Service[])[], { storage, clock }: Ports, config: Config): Promise<void> {
  try {
    await prepare(storage, clock.now()).catch((error: unknown) => {
      throw isOctoflowError(error, 'storage_unavailable') ? unreachable(config, error) : error
    })
    for (const service of services.flat()) await service.start()
  } catch (error) {
    await stop(services, storage)
    throw error
  }
}

/** @throws `schema_newer`, `copy_unfinished` */
async function prepare(storage: Storage, now: Instant): Promise<void> {
  await storage.migrations.migrate({ now })
  const copy = await storage.transfer.unfinished()
  if (copy !== null) throw new OctoflowError('copy_unfinished', { source: copy.source })
}

function unreachable({ database }: Config, error: OctoflowError): OctoflowError {
  // A host with several addresses fails with an error of each.
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause
  const reason = cause instanceof Error ? cause.message : 'no reason is known'
  return new OctoflowError('database_unreachable', { url: maskCredentials(database.url), reason }, { cause: error })
}

async function stop(services: readonly (readonly Service[])[], storage: Storage): Promise<void> {
  for (const together of services.toReversed()) await Promise.all(together.map((service) => service.stop()))
  await storage.close()
}

function authentication(config: Config, extraKeys: readonly string[], logger: PinoLogger): AuthenticatorOptions {
  const { authorizationKey, apiToken, disabled } = config.security
  return {
    staticKeys: [authorizationKey, apiToken, ...extraKeys].filter((key) => key !== null),
    verifier: tokenVerifier(config, logger),
    disabled,
  }
}

function tokenVerifier({ security }: Config, logger: PinoLogger): OidcVerifier | null {
  const { oidcIssuer: issuer, oidcAudience: audience, oidcRolesClaim: rolesClaim } = security
  return issuer === null ? null : new OidcVerifier({ issuer, audience, rolesClaim, logger })
}

function httpOptions({ server, security }: Config): HttpOptions {
  const { bodyLimit, trustProxy, corsOrigins, certificate, key } = server
  const { oidcTokenUrl: tokenUrl, oidcAuthorizationUrl: authorizationUrl } = security
  return {
    bodyLimit,
    trustProxy,
    corsOrigins,
    tls: certificate === null || key === null ? null : { certificate, key },
    publicApis: security.publicApis,
    oauth: tokenUrl === null || authorizationUrl === null ? null : { tokenUrl, authorizationUrl },
  }
}

async function diskFree(path: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  } catch {
    return null
  }
}
