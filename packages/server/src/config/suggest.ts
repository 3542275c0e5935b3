import { nearest } from '../lib/nearest.ts'

/**
 * The name that a wrong one most likely meant: one that ends with it, else one that is spelt alike, else one with the
 * same last part, else one whose last part alone is spelt like it.
 * @param separator what stands between the parts of a name.
 */
export function suggest(wrong: string, names: readonly string[], separator: string): string | null {
  const endingWith = (part: string): string | undefined =>
    names.find((name) => `${separator}${name}`.toLowerCase().endsWith(`${separator}${part}`.toLowerCase()))
  const lastPart = (name: string): string => name.slice(name.lastIndexOf(separator) + 1)
  const alike = wrong.includes(separator) ? null : nearest(wrong, names.map(lastPart))
  return endingWith(wrong) ?? nearest(wrong, names) ?? endingWith(lastPart(wrong)) ?? endingWith(alike ?? wrong) ?? null
}

/** A wrong name as far as it can be one: after a forgotten space or a mistyped colon, a secret may follow. */
export const nameOnly = (wrong: string): string => wrong.replace(/[^\w.-].*$/s, '…')

/** The question to put behind an error about a wrong name, or nothing. */
export const didYouMean = (name: string | null): string => (name === null ? '' : ` Did you mean ${name}?`)
