import { isSettingKey, type SettingKey, settingFor } from './settings.ts'
import type { Given } from './settle.ts'

/** What flags say, by the key of their setting. A flag that was not given is undefined. */
export type Flags = { readonly [Key in SettingKey]?: string | boolean | undefined }

export function readFlags(flags: Flags): readonly Given[] {
  return Object.entries(flags).flatMap(([key, value]) => {
    if (value === undefined || !isSettingKey(key)) return []
    const { type, flag = `--${key}` } = settingFor(key)
    const raw = typeof value === 'string' ? (type.fromText?.(value) ?? value) : value
    return [{ key, name: flag, source: flag, raw }]
  })
}
