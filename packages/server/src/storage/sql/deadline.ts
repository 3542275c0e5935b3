import { OctoflowError } from '../../errors/octoflow-error.ts'

/**
 * What a database server answers, if it does within the time. Then what was asked is given up by `giveUp`; whatever comes of it
 * later is nobody's.
 * @throws `storage_unavailable` when the time is up
 */
export async function withinDeadline<Answer>(
  milliseconds: number,
  answer: Promise<Answer>,
  giveUp: () => void,
): Promise<Answer> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    giveUp()
    const cause = new Error(`the database server did not answer within ${milliseconds / 1_000} s`)
    reject(new OctoflowError('storage_unavailable', {}, { cause }))
  }, milliseconds)
  answer.catch(() => {})
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
