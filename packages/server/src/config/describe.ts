import type { Config } from './compile.ts'
import { type Setting, type SettingKey, settingFor, settingKeys } from './settings.ts'
import type { Origins } from './settle.ts'
import { showValue } from './value-types.ts'

/** A line of `octoflow config`. */
export interface ConfigRow {
  readonly key: SettingKey
  /** The value in force, for people: secrets and passwords are `***`. */
  readonly value: string
  readonly source: string
  /** The places that give another value, and are overridden. */
  readonly overrides: readonly string[]
}

export function describe(config: Config, origins: Origins): readonly ConfigRow[] {
  return settingKeys.map((key) => ({
    key,
    value: showSetting(settingFor(key), valueIn(config, key)),
    source: origins[key].source,
    overrides: origins[key].overridden,
  }))
}

/** A setting's value for people; for `null`, what that comes down to. */
export function showSetting({ type, unset = 'not set' }: Setting, value: unknown): string {
  return value === null ? unset : showValue(type, value)
}

function valueIn(config: Config, key: SettingKey): unknown {
  if (key === 'database.url') return config.database
  const [section, name] = key.split('.') as [keyof Config, string]
  return Object.entries(config[section]).find(([candidate]) => candidate === name)?.[1]
}
