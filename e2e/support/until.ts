import { setTimeout } from 'node:timers/promises'

export interface Patience {
  /** What is waited for, in words that follow "waiting until". */
  readonly what: string
  readonly withinSeconds?: number
  readonly everyMs?: number
}

/**
 * Looks again and again until `look` gives something other than `undefined` or `false`, for what the server tells only when
 * it is asked.
 * @throws when the time is up, with what was seen last.
 */
export async function until<Found>(
  look: () => Found | Promise<Found>,
  { what, withinSeconds = 10, everyMs = 25 }: Patience,
): Promise<Exclude<Found, undefined | false>> {
  const deadline = performance.now() + withinSeconds * 1_000
  while (true) {
    const found = await look()
    if (found !== undefined && found !== false) return found as Exclude<Found, undefined | false>
    if (performance.now() > deadline) throw new Error(`gave up after ${withinSeconds} s of waiting until ${what}`)
    await setTimeout(everyMs)
  }
}

/** What `promise` gives, or an error when it takes longer. */
export async function within<Value>(seconds: number, what: string, promise: Promise<Value>): Promise<Value> {
  const control = new AbortController()
  const late = setTimeout(seconds * 1_000, undefined, { signal: control.signal }).then(
    () => Promise.reject(new Error(`${what} took longer than ${seconds} s`)),
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    control.abort()
  }
}
