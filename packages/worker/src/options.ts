import { availableParallelism, hostname } from 'node:os'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { checkOptions, LONGEST_NAME } from './check-options.ts'
import type { ProcessFunction } from './job-context.ts'
import { type Logger, stderrLogger } from './logger.ts'
import type { Transport } from './transport.ts'

/** Where handlers run. */
export const Isolation = { inline: 'inline', thread: 'thread', process: 'process' } as const
export type Isolation = (typeof Isolation)[keyof typeof Isolation]

export interface WorkerOptions<Body = unknown> {
  /** Where the server is, such as `http://localhost:5000`. */
  readonly url?: string | URL | undefined
  /** The server's key or an API key with the role `worker`; may be left out if the server asks for none. */
  readonly authorizationKey?: string | undefined
  /** Instead of `url` and `authorizationKey`: how to speak to the server. It is not closed by the worker. */
  readonly transport?: Transport | undefined
  /** Which jobs to take: the `custom_value` of their requests, which is the name of their queue. */
  readonly customValue?: string | undefined
  /** The same as `customValue`. */
  readonly queue?: string | undefined
  /** Several queues instead of one; they get equal shares of the slots while all have jobs. */
  readonly queues?: readonly string[] | undefined
  /** The function to run, or the path (from the current directory) or `file:` URL of a module that exports it as `process`. */
  readonly process: ProcessFunction<Body> | string | URL
  /**
   * `inline` (the default): in this thread's event loop, where a handler that computes for long keeps the heartbeats from
   * going out. `thread`, `process`: in worker threads or child processes, one job at a time in each; `process` is a path then.
   */
  readonly isolation?: Isolation | undefined
  /** How many jobs run at once; as many as there are processors if left out. */
  readonly concurrency?: number | undefined
  /** How long a job is this worker's without a sign of life, 1 to 86400; 30 if left out. Renewed every third of it. */
  readonly leaseSeconds?: number | undefined
  /** Shown as the worker's, followed by what makes it unique; the host's name if left out. */
  readonly name?: string | undefined
  /** Lines to stderr if left out. */
  readonly logger?: Logger | undefined
  /** Which signals end `run()`; SIGINT and SIGTERM if left out, none if `false`. */
  readonly signals?: boolean | readonly NodeJS.Signals[] | undefined
  /** How long jobs in hand may take when the worker stops, unless `stop()` says so; without limit if left out. */
  readonly stopTimeoutSeconds?: number | undefined
}

/** The options with every default filled in. */
export interface Settings {
  readonly server: { readonly url: URL; readonly authorizationKey: string | null } | Transport
  readonly queues: readonly string[]
  /** The function, or the URL of its module. */
  readonly process: ProcessFunction | string
  readonly isolation: Isolation
  readonly concurrency: number
  readonly leaseSeconds: number
  readonly name: string
  readonly logger: Logger
  readonly signals: readonly NodeJS.Signals[]
  readonly stopTimeoutMs: number
}

export const isTransport = (server: Settings['server']): server is Transport => 'claim' in server

const DEFAULT_LEASE_SECONDS = 30
const DEFAULT_SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** Errors: `options_invalid`, with everything that is wrong. */
export function settingsOf<Body>(options: WorkerOptions<Body>): Settings {
  checkOptions(options)
  const { url, transport, authorizationKey, signals, process: handler } = options
  return {
    server: transport ?? { url: new URL(url!), authorizationKey: authorizationKey ?? null },
    queues: [...new Set(options.queues ?? [(options.queue ?? options.customValue)!])],
    process: typeof handler === 'function' ? (handler as ProcessFunction) : moduleHref(handler),
    isolation: options.isolation ?? Isolation.inline,
    concurrency: options.concurrency ?? availableParallelism(),
    leaseSeconds: options.leaseSeconds ?? DEFAULT_LEASE_SECONDS,
    name: options.name ?? hostname().slice(0, LONGEST_NAME),
    logger: options.logger ?? stderrLogger(),
    signals: signals === false ? [] : signals === true ? DEFAULT_SIGNALS : (signals ?? DEFAULT_SIGNALS),
    stopTimeoutMs: (options.stopTimeoutSeconds ?? Infinity) * 1_000,
  }
}

/** A relative path counts from the current directory. */
function moduleHref(module: string | URL): string {
  if (module instanceof URL || module.startsWith('file:')) return new URL(module).href
  return pathToFileURL(resolve(module)).href
}
