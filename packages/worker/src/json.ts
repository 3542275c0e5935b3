/** JSON text of a value. Throws a `TypeError` for what JSON has no form for: BigInt, cycles, functions, symbols. */
export function toJson(value: unknown): string {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`JSON has no form for a ${typeof value}`)
  return text
}

/** The value as its receiver will see it; what is done to the original later does not matter. */
export const jsonCopy = (value: unknown): unknown => JSON.parse(toJson(value))
