import { relative, resolve } from 'node:path'
import type { LoadedConfig } from '../../config/load.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import type { Host } from '../host.ts'
import { reachableUrl, readServerFile, serverFilePath } from '../server-file.ts'

/** What the options of `addServerOptions` say. */
export interface ServerOptions {
  readonly url?: string
  readonly key?: string
  readonly data?: string
  readonly app?: string
  readonly config?: string
}

/** Where the server is and what it is shown, each with where that is known from, in words that follow "from". */
export interface ServerAddress {
  /** Without a slash at the end. */
  readonly url: string
  readonly urlFrom: string
  /** `null` if none was found. */
  readonly key: string | null
  readonly keyFrom: string | null
}

/**
 * Finds the server: by `--url` and `--key`, by OCTOFLOW_URL and OCTOFLOW_KEY, else by the local data directory. The key that
 * lies there is shown to no other machine.
 * @throws `config_invalid`
 */
export async function findServer(host: Host, options: ServerOptions): Promise<ServerAddress> {
  const givenUrl = given(options.url, '--url', host.env.OCTOFLOW_URL, 'OCTOFLOW_URL')
  const givenKey = given(options.key, '--key', host.env.OCTOFLOW_KEY, 'OCTOFLOW_KEY')
  const url = givenUrl === null ? null : { value: checkUrl(givenUrl), from: givenUrl.from }
  if (givenKey !== null) checkKey(givenKey)
  const asksElsewhere = url !== null && !isThisMachine(url.value)
  if (url !== null && (givenKey !== null || asksElsewhere)) return toAddress(url, givenKey)

  const { loadConfig } = await import('../../config/load.ts')
  const flags = { 'paths.data': options.data, 'paths.app': options.app }
  const loaded = await loadConfig({ env: host.env, cwd: host.cwd, flags, file: options.config })
  return toAddress(url ?? localUrl(loaded, host), givenKey ?? (await localKey(loaded, host)))
}

export interface Known {
  readonly value: string
  readonly from: string
}

const toAddress = (url: Known, key: Known | null): ServerAddress => ({
  url: url.value,
  urlFrom: url.from,
  key: key?.value ?? null,
  keyFrom: key?.from ?? null,
})

function given(flag: string | undefined, flagName: string, variable: string | undefined, name: string): Known | null {
  if (flag !== undefined) return { value: flag, from: flagName }
  const text = variable?.trim() ?? ''
  return text === '' ? null : { value: text, from: name }
}

function checkUrl({ value, from }: Known): string {
  const url = URL.parse(value)
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '')
    return (url.origin + url.pathname).replace(/\/+$/, '')
  throw new CommandError(
    ExitCode.usage,
    `${from} is not the address of a server.`,
    'Give an address such as http://127.0.0.1:5000, without a user name and password.',
  )
}

function checkKey({ value, from }: Known): void {
  if (/^[\u0021-\u007e]+$/.test(value)) return
  throw new CommandError(ExitCode.usage, `${from} is not a key.`, 'A key is one word of letters, digits and signs.')
}

const isThisMachine = (url: string): boolean => /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(new URL(url).hostname)

/** The file of a server that did not get to remove it is passed over: somebody else may listen there by now. */
function localUrl({ config, origins }: LoadedConfig, host: Host): Known {
  const { data } = config.paths
  const running = readServerFile(data)
  if (running !== null && host.isRunning(running.pid))
    return { value: running.url, from: shownPath(serverFilePath(data), host.cwd) }
  const { host: name, port, certificate } = config.server
  const value = reachableUrl(`${certificate === null ? 'http' : 'https'}://${name.includes(':') ? `[${name}]` : name}:${port}`)
  const sources = [origins['server.host'].source, origins['server.port'].source].filter((source) => source !== 'default')
  return { value, from: sources.length === 0 ? 'the defaults' : sources.join(' and ') }
}

/** The key of the configuration, else that of the data directory; `null` if there is none. */
export async function localKey({ config, origins }: LoadedConfig, host: Host): Promise<Known | null> {
  const { authorizationKey, apiToken } = config.security
  if (authorizationKey !== null) return { value: authorizationKey, from: origins['security.authorizationKey'].source }
  if (apiToken !== null) return { value: apiToken, from: origins['security.apiToken'].source }
  const { keyFilePath, readKeyFile } = await import('../../config/key-file.ts')
  const path = keyFilePath(config.paths.data)
  try {
    const key = readKeyFile(path)
    return key === null ? null : { value: key, from: shownPath(path, host.cwd) }
  } catch (error) {
    throw new CommandError(
      ExitCode.denied,
      `The key in ${shownPath(path, host.cwd)} cannot be read: ${(error as Error).message}.`,
      'Run the command as the user who runs the server, or give a key with --key or OCTOFLOW_KEY.',
      { cause: error },
    )
  }
}

/** Relative where it lies below the working directory. */
export function shownPath(path: string, cwd: string): string {
  const inside = relative(cwd, resolve(cwd, path))
  return inside !== '' && !inside.startsWith('..') ? inside : path
}
