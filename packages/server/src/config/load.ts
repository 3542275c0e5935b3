import { resolve } from 'node:path'
import { OctoflowError } from '../errors/octoflow-error.ts'
import { type Config, compile, contradictions, deepFreeze } from './compile.ts'
import { CONFIG_FILE, readConfigFile } from './config-file.ts'
import { type Flags, readFlags } from './flags.ts'
import { type Given, notUsed, type Origins, settle } from './settle.ts'
import { readStandIns, standInNotices } from './stand-ins.ts'
import { envFileVariables, environmentVariables, misspeltVariables, readVariables, variableNotices } from './variables.ts'

export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly flags: Flags
  /** The working directory, absolute. */
  readonly cwd: string
  /** The file named by `--config`, instead of `octoflow.yml` in the data directory. */
  readonly file?: string | undefined
}

export interface LoadedConfig {
  readonly config: Config
  readonly origins: Origins
  /** For the log: a sentence for every variable that is set and does nothing. */
  readonly notices: readonly string[]
}

/**
 * Loads the configuration. Later wins: defaults, stand-ins, `octoflow.yml`, `.env`, the environment, flags.
 * @throws OctoflowError `config_invalid` with all problems at once, a line each; no line shows a secret.
 */
export async function loadConfig({ env, flags, cwd, file }: ConfigSources): Promise<LoadedConfig> {
  const environment = environmentVariables(env)
  const fromEnvironment = readVariables(environment)
  const given = [fromEnvironment, readFlags(flags)]

  // Each file lies where the sources read before it say. An APP_PATH in `.env` moves the app's root, but no second
  // `.env` is read from there.
  const { app } = settle(given).values.paths
  const envFile = envFileVariables(resolve(cwd, app, '.env'))
  const fromEnvFile = readVariables(envFile.variables)
  given.unshift(fromEnvFile)

  const { data } = settle(given).values.paths
  const configFile =
    file === undefined
      ? await readConfigFile(resolve(cwd, data, CONFIG_FILE), CONFIG_FILE, false)
      : await readConfigFile(resolve(cwd, file), file, true)

  const variables = new Map([...envFile.variables, ...environment])
  const standIns = readStandIns(variables)
  const { values, origins, problems } = settle([standIns.given, configFile.given, ...given])
  const config = compile(values, cwd)
  const all = [
    ...configFile.problems,
    ...envFile.problems,
    ...misspeltVariables(variables),
    ...standIns.problems,
    ...problems,
    ...contradictions(config, origins),
  ]
  if (all.length > 0) throw new OctoflowError('config_invalid', { problems: all.join('\n') })
  const notices = [
    ...variableNotices(variables),
    ...standInNotices(standIns.given, origins),
    ...aliasNotices(fromEnvFile, fromEnvironment, origins),
  ]
  return deepFreeze({ config, origins, notices })
}

/**
 * A sentence for every variable of `.env` that the environment overrides under another name. Under the same one that is
 * what the environment is for; under another, an old name is likely forgotten in one of the places.
 */
function aliasNotices(envFile: readonly Given[], environment: readonly Given[], origins: Origins): readonly string[] {
  const sources = environment.map(({ source }) => source)
  const names = environment.map(({ name }) => name)
  return envFile
    .filter(({ key, name, source }) => origins[key].overridden.includes(source) && !names.includes(name))
    .filter(({ key }) => sources.includes(origins[key].source))
    .map((item) => notUsed(item, origins))
}
