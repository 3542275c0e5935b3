import type { CommandError } from '../command-error.ts'
import type { Session } from '../session.ts'
import { manyLines } from './text.ts'

/** Says what went wrong and, on a line of its own, how to mend it; with `--json`, both in one document. */
export function complain({ err, json }: Session, { code, message, hint }: CommandError): void {
  if (json) {
    err.json({ error: { code, message, hint } })
    return
  }
  err.line(`${err.paint('red', 'octoflow:')} ${manyLines(message)}`)
  if (hint !== '') err.line(manyLines(hint))
}
