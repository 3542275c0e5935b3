import { type Command, Option } from 'commander'
import type { ConfigSources } from '../config/load.ts'
import { type SettingKey, settingFor, settingKeys } from '../config/settings.ts'

/** What a flag takes, in a word. */
const ARGUMENTS: { readonly [Key in SettingKey]?: string } = {
  'server.host': 'address',
  'server.port': 'number',
  'server.roles': 'names',
  'paths.data': 'directory',
  'paths.app': 'directory',
  'database.url': 'url',
  'handlers.directory': 'directory',
}

/** The settings that have a flag. */
const FLAGS = settingKeys.flatMap((key) => {
  const { flag, description } = settingFor(key)
  return flag === undefined ? [] : [{ key, description, flag: `${flag} <${ARGUMENTS[key] ?? 'value'}>` }]
})

/** Gives a command the flags of the configuration. */
export function addConfigFlags(command: Command): Command {
  for (const { flag, description } of FLAGS) command.addOption(new Option(flag, description))
  return command.option('--config <file>', 'A YAML file to read instead of octoflow.yml in the data directory.')
}

/** What the flags of `addConfigFlags` say, as a source of the configuration. */
export function readConfigFlags(options: Readonly<Record<string, unknown>>): Pick<ConfigSources, 'flags' | 'file'> {
  const flags: Partial<Record<SettingKey, string>> = {}
  for (const { key, flag } of FLAGS) {
    const value = options[new Option(flag).attributeName()]
    if (typeof value === 'string') flags[key] = value
  }
  return { flags, file: typeof options.config === 'string' ? options.config : undefined }
}
