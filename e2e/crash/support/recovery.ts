/** How long something was away, in milliseconds since the epoch. */
export interface Outage {
  readonly from: number
  readonly to: number
}

export interface Recovery {
  /** Jobs completed in a second before the first outage. */
  readonly perSecond: number
  /** From the end of each outage until a second began in which jobs were completed as fast as before; Infinity if none did. */
  readonly recoverySeconds: readonly number[]
}

/** Within which jobs are to be completed as fast as before. */
export const RECOVERY_SECONDS = 5

/** So many jobs are completed in a second, compared with before, when all is well again: what is killed meanwhile costs some. */
export const WELL = 0.7

const STEP_MS = 100

/** @param completedAt when jobs were completed, and `begun` when the first of them was asked for; in milliseconds since the epoch. */
export function recovery(completedAt: readonly number[], begun: number, outages: readonly Outage[]): Recovery {
  const count = (from: number, to: number): number => completedAt.filter((at) => at >= from && at < to).length
  const { from } = outages[0]!
  const perSecond = (count(begun, from) / (from - begun)) * 1_000
  const end = Math.max(...completedAt)
  const secondsAfter = ({ to }: Outage): number => {
    for (let at = to; at <= end; at += STEP_MS) if (count(at, at + 1_000) >= WELL * perSecond) return (at - to) / 1_000
    return Infinity
  }
  return { perSecond, recoverySeconds: outages.map(secondsAfter) }
}
