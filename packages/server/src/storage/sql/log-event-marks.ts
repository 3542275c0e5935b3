/** The sequence that a mark stands for; `null` for a text that is none. */
export function readMark(mark: string): number | null {
  const sequence = /^\d{1,16}$/.test(mark) ? Number(mark) : Number.NaN
  return Number.isSafeInteger(sequence) ? sequence : null
}
