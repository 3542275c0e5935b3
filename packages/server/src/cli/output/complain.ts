import type { Screen } from './screen.ts'
import { manyLines } from './text.ts'

/** Says what went wrong and, on a line of its own, how to mend it. */
export function complain(screen: Screen, message: string, hint: string): void {
  screen.line(`${screen.paint('red', 'octoflow:')} ${manyLines(message)}`)
  if (hint !== '') screen.line(manyLines(hint))
}
