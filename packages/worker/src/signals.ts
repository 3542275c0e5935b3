/**
 * Calls `first` for the first of these signals and `second` for the next; a third does again what it does by default.
 * @returns gives the signals back.
 */
export function onSignals(signals: readonly NodeJS.Signals[], first: () => void, second: () => void): () => void {
  const steps = [first, second]
  const giveBack = (): void => {
    for (const signal of signals) process.off(signal, handle)
  }
  const handle = (): void => {
    steps.shift()?.()
    if (steps.length === 0) giveBack()
  }
  for (const signal of signals) process.on(signal, handle)
  return giveBack
}
