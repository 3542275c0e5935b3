import { isAbsolute, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { OwnKey } from '../config/key-file.ts'
import type { LoadedConfig } from '../config/load.ts'
import { shellWord } from '../lib/shell-word.ts'
import { VERSION } from '../version.ts'
import { shownPath } from './client/find-server.ts'
import type { Host } from './host.ts'
import { fields } from './output/table.ts'
import type { Session } from './session.ts'

export interface Started {
  readonly url: string
  readonly loaded: LoadedConfig
  /** The file that `--config` named. */
  readonly configFile: string | null
  /** The key that the server made for itself, now or at an earlier start; `null` if it goes by others. */
  readonly ownKey: OwnKey | null
  readonly handlers: readonly { readonly queue: string; readonly path: string }[]
}

/** Says where the server is, where its key lies, and what to do next. A key that was made just now is shown, this once. */
export async function greet({ host, out }: Session, started: Started): Promise<void> {
  const { url, loaded, handlers, ownKey } = started
  out.line(`${out.paint('bold', `Octoflow ${VERSION}`)} listening on ${out.paint(['cyan', 'underline'], url)}`)
  out.line()
  fields(out, [
    ['key', ownKey?.made === true ? ownKey.key : null],
    [ownKey?.made === true ? 'kept in' : 'key', whereTheKeyIs(started, host)],
    ['handlers', handlers.length === 0 ? null : namesOf(handlers)],
    ['API', `${url}/docs`],
  ])
  out.line()
  out.line(`Paste into another terminal${variables(started)}:`)
  out.line()
  const example = await exampleJob(loaded, handlers)
  for (const line of [example, 'jobs show last', 'queues list']) out.line(`  ${commandLine(line, started, host)}`)
  out.line()
}

/** Says what a server does that nobody can call. */
export function greetWithoutApi({ out }: Session, roles: readonly string[], handlers: Started['handlers']): void {
  out.line(`${out.paint('bold', `Octoflow ${VERSION}`)} running without an API`)
  out.line()
  fields(out, [
    ['roles', roles.join(', ')],
    ['handlers', handlers.length === 0 ? null : namesOf(handlers)],
  ])
}

/** Says the same to a program. */
export function greetProgram(
  { host, out }: Session,
  {
    url,
    roles,
    ownKey,
    handlers,
  }: Pick<Started, 'ownKey' | 'handlers'> & { readonly url: string | null; readonly roles: readonly string[] },
): void {
  out.json({
    message: `Octoflow ${VERSION} ${url === null ? 'running without an API' : `listening on ${url}`}`,
    url,
    version: VERSION,
    pid: host.pid,
    roles,
    keyFile: ownKey === null ? null : resolve(host.cwd, ownKey.path),
    key: ownKey?.made === true ? ownKey.key : null,
    handlers,
  })
}

const namesOf = (handlers: Started['handlers']): string => handlers.map(({ queue }) => queue).join(', ')

function whereTheKeyIs(started: Started, host: Host): string {
  const { loaded, ownKey } = started
  if (loaded.config.security.disabled) return 'none: security is disabled, everybody on this machine may do everything'
  if (ownKey !== null)
    return `${shownPath(ownKey.path, host.cwd)}${ownKey.made ? ' (made just now, and shown this once: keep it secret)' : ''}`
  const source = keySource(started)
  return source === null ? `tokens of ${loaded.config.security.oidcIssuer}` : `the one configured: ${source}`
}

/** Where the key is configured that other commands find; `null` if it is not. */
function keySource({ loaded: { origins } }: Started): string | null {
  const sources = [origins['security.authorizationKey'].source, origins['security.apiToken'].source]
  return sources.find((source) => source !== 'default') ?? null
}

/** A key of this terminal's environment is not in that of another. */
function variables(started: Started): string {
  const [, name] = /^(\w+) in the environment$/.exec(keySource(started) ?? '') ?? []
  return name === undefined ? '' : `, with ${name} set there too`
}

/** A job for the first handler, with the payload that its file exports as `example`. */
async function exampleJob({ config }: LoadedConfig, handlers: Started['handlers']): Promise<string> {
  const [first] = handlers
  if (first === undefined) return `submit greet ${shellWord('{"name":"Ada"}')}`
  // Run inline, the module has been imported already; otherwise its code must not run in this process.
  const module: { readonly example?: unknown } =
    config.handlers.isolation === 'inline' ? await import(pathToFileURL(first.path).href) : {}
  const payload = module.example === undefined ? '' : ` ${shellWord(JSON.stringify(module.example))}`
  return `submit ${shellWord(first.queue)}${payload} --wait`
}

/** As it can be pasted: with what starts the command here, and with the paths that are not where they are looked for. */
function commandLine(words: string, started: Started, { env, cwd }: Host): string {
  const { paths } = started.loaded.config
  const shell = env.INIT_CWD ?? cwd
  const source = keySource(started)
  const path = (flag: string, value: string): string => `${flag} ${shellWord(nearPath(resolve(cwd, value), shell))}`
  return [
    launcher(env.npm_execpath !== undefined || env.npm_lifecycle_event !== undefined, shell, cwd),
    words,
    ...(paths.data === resolve(shell, 'data') ? [] : [path('--data', paths.data)]),
    ...(source?.startsWith('.env ') && paths.app !== shell ? [path('--app', paths.app)] : []),
    ...(started.configFile !== null && source?.startsWith(started.configFile) ? [path('--config', started.configFile)] : []),
  ].join(' ')
}

/** What starts the command from the shell's directory. Elsewhere than in the checkout `npx` would look for a stranger's package. */
function launcher(byNpm: boolean, shell: string, checkout: string): string {
  if (!byNpm) return 'octoflow'
  return relative(checkout, shell).startsWith('..') ? `npx --prefix ${shellWord(checkout)} octoflow` : 'npx octoflow'
}

/** Relative unless that would lead upwards. */
function nearPath(path: string, from: string): string {
  const near = relative(from, path)
  return near.startsWith('..') || isAbsolute(near) ? path : near || '.'
}
