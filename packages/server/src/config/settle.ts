import { isDeepStrictEqual } from 'node:util'
import { type SettingKey, settingFor, settingKeys, type Values, valuesFrom } from './settings.ts'
import { describeMisfit, showValue } from './value-types.ts'

/** What one place says about one setting. */
export interface Given {
  readonly key: SettingKey
  /** What the place calls the setting: `PORT`, `--port`, `server.port`. */
  readonly name: string
  /** `PORT in the environment`, `.env line 3`, `octoflow.yml line 7`, `--port`. */
  readonly source: string
  /** The value as YAML has it or would have it, not checked yet. */
  readonly raw: unknown
}

/** What was read from one source. Problems are whole sentences, one each. */
export interface Reading {
  readonly given: readonly Given[]
  readonly problems: readonly string[]
}

export interface Origin {
  /** The value as it was given: a path is not resolved yet, a secret not masked. */
  readonly value: unknown
  /** `default`, or the place it stands at. */
  readonly source: string
  /** The places that give another value and are overridden by this one, the one of the greatest precedence first. */
  readonly overridden: readonly string[]
}

export type Origins = Readonly<Record<SettingKey, Origin>>

export interface Settled {
  readonly values: Values
  readonly origins: Origins
  readonly problems: readonly string[]
}

/**
 * Checks every value and lets later layers win. A value that a later layer overrides must fit all the same: it would
 * stop the start on the day that the other one is taken away.
 * @param layers the sources, from the least to the greatest precedence.
 */
export function settle(layers: readonly (readonly Given[])[]): Settled {
  const problems: string[] = []
  const origins = new Map<string, Origin>()
  for (const layer of layers) {
    for (const [key, { value, given }] of settleLayer(layer, problems))
      origins.set(key, { value, source: given.source, overridden: overriddenBy(value, origins.get(key)) })
  }
  const originOf = (key: SettingKey): Origin =>
    origins.get(key) ?? { value: settingFor(key).default, source: 'default', overridden: [] }
  return {
    values: valuesFrom((key) => originOf(key).value),
    origins: Object.fromEntries(settingKeys.map((key) => [key, originOf(key)])) as Origins,
    problems,
  }
}

function overriddenBy(value: unknown, earlier: Origin | undefined): readonly string[] {
  if (earlier === undefined) return []
  return isDeepStrictEqual(earlier.value, value) ? earlier.overridden : [earlier.source, ...earlier.overridden]
}

interface Checked {
  readonly given: Given
  readonly value: unknown
}

/** Within one source no name comes before another, so two that differ are a problem. */
function settleLayer(layer: readonly Given[], problems: string[]): ReadonlyMap<SettingKey, Checked> {
  const settled = new Map<SettingKey, Checked>()
  for (const given of layer) {
    const { type } = settingFor(given.key)
    const value = type.check(given.raw)
    const earlier = settled.get(given.key)
    if (value === undefined) problems.push(`${given.source}: ${given.key} ${describeMisfit(type, given.raw)}`)
    else if (earlier === undefined) settled.set(given.key, { given, value })
    else if (!isDeepStrictEqual(earlier.value, value)) problems.push(describeConflict(earlier, { given, value }))
  }
  return settled
}

function describeConflict(a: Checked, b: Checked): string {
  const { key } = a.given
  const { type } = settingFor(key)
  const [first, second] = [showValue(type, a.value), showValue(type, b.value)]
  // Of two secrets nothing is left to show.
  const shown = first === second ? '' : `, ${first} and ${second}`
  const names = `${a.given.name} and ${b.given.name}`
  return `${a.given.source}, ${b.given.source}: ${names} give ${key} different values${shown}. Remove one of them.`
}

/** A sentence about what is given in vain. */
export const notUsed = ({ key, name, source }: Given, origins: Origins): string =>
  `${source}: ${name} is not used, since ${origins[key].source} gives ${key}.`
