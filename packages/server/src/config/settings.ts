import { databaseUrl } from './database-url.ts'
import { eventRules } from './event-rules.ts'
import { host, origins, trustProxy, webUrl } from './network-types.ts'
import { boolean, byteSize, integer, number, oneOf, path, port, secret, someOf, text, type ValueType } from './value-types.ts'

/**
 * Every setting of the server. The type of the configuration, its checks, the names of the variables, what
 * `octoflow config` prints and the reference page all follow from this table.
 */
export interface Setting<Value = unknown> {
  readonly type: ValueType<NonNullable<Value>>
  readonly default: Value
  /** What `null` comes down to, in a few words. */
  readonly unset?: string
  /** Environment variables beside the setting's own one, which is made from its key. */
  readonly env?: readonly string[]
  readonly flag?: string
  /** What `octoflow.yml` calls it at its top, beside the setting's own key. */
  readonly nameInFile?: string
  /** Why it cannot stand in `octoflow.yml`, in words that follow "since". */
  readonly notInFile?: string
  /** Meaning and unit, in whole sentences. */
  readonly description: string
}

/** Ties the default to the type; only a default of `null` makes the value nullable. */
const setting = <Value, const Default extends NoInfer<Value> | null>(
  definition: Omit<Setting, 'type' | 'default'> & { readonly type: ValueType<Value>; readonly default: Default },
): Setting<Value | Extract<Default, null>> => definition as Setting<Value | Extract<Default, null>>

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export const LOG_FORMATS = ['auto', 'json', 'pretty'] as const
export const ISOLATIONS = ['inline', 'thread', 'process'] as const

/** APIs that may be opened to everybody. */
export const PUBLIC_APIS = ['processing', 'log-events'] as const

/** What a server does: `api` answers calls, `worker` runs handlers, `maintenance` takes part in what one server does for all. */
export const SERVER_ROLES = ['api', 'worker', 'maintenance'] as const

export const settings = {
  server: {
    host: setting({
      type: host,
      default: '127.0.0.1',
      env: ['DRUMPLER_HOST'],
      flag: '--host',
      description: 'The address to listen on. 0.0.0.0 listens on all of them.',
    }),
    port: setting({
      type: port,
      default: 5000,
      env: ['PORT', 'DRUMPLER_PORT', 'API_PORT'],
      flag: '--port',
      description: 'The port to listen on. 0 picks a free one.',
    }),
    bodyLimit: setting({
      type: byteSize({ min: 1000, max: 2 ** 30 }),
      default: 2 ** 20,
      env: ['BODY_LIMIT'],
      description: 'The largest body that a request may have. A larger one is answered with 413.',
    }),
    certificate: setting({
      type: path,
      default: null,
      env: ['CERTIFICATE_APP'],
      description:
        'The certificate file (PEM), relative to the working directory. With it, the server speaks HTTPS and no plain HTTP.',
    }),
    key: setting({
      type: path,
      default: null,
      env: ['KEY_APP'],
      description: 'The file with the key of the certificate (PEM), relative to the working directory.',
    }),
    corsOrigins: setting({
      type: origins,
      default: [],
      env: ['CORS_ALLOWED_ORIGINS'],
      description: 'The web pages, by their origin, whose scripts may call the server. * allows all.',
    }),
    trustProxy: setting({
      type: trustProxy,
      default: false,
      env: ['TRUST_PROXY'],
      description: 'The proxies in front of the server whose `X-Forwarded-For` is believed.',
    }),
    roles: setting({
      type: someOf(SERVER_ROLES),
      default: SERVER_ROLES,
      flag: '--roles',
      description:
        'What this server does: `api` listens and answers, `worker` runs handlers, `maintenance` takes back the jobs of vanished ' +
        'workers, carries out operations and deletes what has outlived its retention. What it leaves out, no other can do on the ' +
        'embedded database.',
    }),
    shutdownSeconds: setting({
      type: number({ min: 0, max: 3600 }),
      default: 20,
      description: 'How long a stop waits for what is under way.',
    }),
  },
  paths: {
    data: setting({
      type: path,
      default: 'data',
      env: ['DATA_PATH'],
      flag: '--data',
      notInFile: 'octoflow.yml itself is looked for in the data directory',
      description: 'The directory of the database, the keys and the logs, relative to the working directory.',
    }),
    app: setting({
      type: path,
      default: '.',
      env: ['APP_PATH'],
      flag: '--app',
      notInFile: 'the .env file in the app’s root is read before octoflow.yml',
      description: 'The root of your own code, and where `.env` is looked for, relative to the working directory.',
    }),
  },
  database: {
    url: setting({
      type: databaseUrl,
      default: null,
      unset: 'octoflow.db in the data directory',
      env: ['DATABASE_URL', 'DATABASE_URI'],
      flag: '--database-url',
      description: 'The database. A relative path of a SQLite file begins at the data directory.',
    }),
  },
  security: {
    authorizationKey: setting({
      type: secret,
      default: null,
      env: ['AUTHORIZATION_KEY'],
      description:
        'A static key with the role `admin`. Where no credential is configured at all, the first start makes a random key.',
    }),
    apiToken: setting({
      type: secret,
      default: null,
      env: ['API_TOKEN'],
      description: 'A second static key, on a par with the first.',
    }),
    disabled: setting({
      type: boolean,
      default: false,
      env: ['DISABLE_SECURITY'],
      description: 'Answers without asking for a credential. Only where `server.host` is a loopback address.',
    }),
    publicApis: setting({
      type: someOf(PUBLIC_APIS),
      default: [],
      env: ['PUBLIC_APIS'],
      description:
        'The APIs that everybody may call without a credential, as in the systems that they replace. Deleting log events always needs one.',
    }),
    oidcIssuer: setting({
      type: webUrl,
      default: null,
      env: ['IAM_SERVER_URL'],
      description: 'The OpenID Connect issuer whose tokens are accepted.',
    }),
    oidcAudience: setting({
      type: text,
      default: null,
      unset: 'any',
      description: 'The audience that a token must be made for.',
    }),
    oidcRolesClaim: setting({
      type: text,
      default: null,
      unset: 'realm_access.roles, resource_access.*.roles, roles and groups',
      description: 'Where a token names the roles of its bearer, as a path with dots.',
    }),
    oidcTokenUrl: setting({
      type: webUrl,
      default: null,
      env: ['TOKEN_URL'],
      description: 'Where the documentation page gets a token.',
    }),
    oidcAuthorizationUrl: setting({
      type: webUrl,
      default: null,
      env: ['AUTH_URL'],
      description: 'Where the documentation page sends people to sign in.',
    }),
  },
  logging: {
    level: setting({
      type: oneOf(LOG_LEVELS, { CRITICAL: 'fatal', WARNING: 'warn', NOTSET: 'trace' }),
      default: 'info',
      env: ['LOGGING_LEVEL'],
      description: 'The least severe lines that are logged.',
    }),
    format: setting({
      type: oneOf(LOG_FORMATS),
      default: 'auto',
      description: 'How the log is written. `auto` is `pretty` on a terminal and `json` elsewhere.',
    }),
  },
  jobs: {
    retentionDays: setting({
      type: number({ min: 0, max: 36_500 }),
      default: null,
      unset: 'for ever',
      description: 'How long finished jobs, and requests without a job, are kept where their queue says nothing.',
    }),
  },
  capture: {
    leaseSeconds: setting({
      type: number({ min: 1, max: 86_400 }),
      default: 900,
      description: 'How long a worker of the capture API keeps a job without reporting on it, before others get it.',
    }),
  },
  logEvents: {
    retentionDays: setting({
      type: number({ min: 0, max: 36_500 }),
      default: null,
      unset: 'for ever',
      env: ['LOG_EVENTS_RETENTION_DAYS'],
      description:
        'How long log events are kept, reckoned from their timestamp, where `maps/event-types.json` says nothing of their type.',
    }),
    rules: setting({
      type: eventRules,
      default: [],
      nameInFile: 'on_event',
      description:
        'Rules that start a job for each log event that matches, with the event as payload. `match` names `type` and fields, `queue` ' +
        'where the job goes; with a `concurrencyKey`, the name of a field, jobs of events with the same value run in order.',
    }),
  },
  handlers: {
    directory: setting({
      type: path,
      default: null,
      env: ['HANDLERS_PATH'],
      flag: '--handlers',
      description: 'The directory of the handler files that the server runs itself, relative to the app’s root.',
    }),
    isolation: setting({
      type: oneOf(ISOLATIONS),
      default: 'inline',
      description: 'Where handlers run: in the server’s event loop, in worker threads, or in child processes.',
    }),
    concurrency: setting({
      type: integer({ min: 1, max: 10_000 }),
      default: null,
      unset: 'the available parallelism',
      description: 'How many jobs the server’s own handlers work on at once.',
    }),
  },
} as const satisfies Record<string, Record<string, Setting>>

type Settings = typeof settings
export type Section = keyof Settings
export type SettingKey = { [S in Section]: `${S}.${keyof Settings[S] & string}` }[Section]

/** The value of every setting, before paths are resolved and the database is determined. */
export type Values = {
  readonly [S in Section]: {
    readonly [Name in keyof Settings[S]]: Settings[S][Name] extends Setting<infer Value> ? Value : never
  }
}

export const settingsByKey: ReadonlyMap<string, Setting> = new Map(
  Object.entries(settings).flatMap(([section, named]) =>
    Object.entries(named).map(([name, definition]) => [`${section}.${name}`, definition] as const),
  ),
)

export const settingKeys = [...settingsByKey.keys()] as readonly SettingKey[]

export const settingFor = (key: SettingKey): Setting => settingsByKey.get(key)!

/** The settings that a file names at its top. */
export const keysInFile: ReadonlyMap<string, SettingKey> = new Map(
  settingKeys.flatMap((key) => {
    const { nameInFile } = settingsByKey.get(key)!
    return nameInFile === undefined ? [] : [[nameInFile, key] as const]
  }),
)

export const isSettingKey = (key: string): key is SettingKey => settingsByKey.has(key)

/** An object with the sections of the table and a value for each of their settings. */
export function valuesFrom(lookUp: (key: SettingKey) => unknown): Values {
  const sections = Object.entries(settings).map(([section, named]) => {
    const values = Object.keys(named).map((name) => [name, lookUp(`${section}.${name}` as SettingKey)])
    return [section, Object.fromEntries(values)]
  })
  return Object.fromEntries(sections) as Values
}
