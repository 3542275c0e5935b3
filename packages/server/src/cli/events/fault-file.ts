import { statSync } from 'node:fs'
import { appendFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import type { PayloadLine } from '../submit/payload-lines.ts'

/** The lines that were not stored: each with its number, the reason and its text. The file comes to be with the first of them. */
export class FaultFile {
  readonly #path: string
  #begun: boolean

  /**
   * @param source the file that is imported, if it is one.
   * @param continues whether it may hold lines of the first part of the same import.
   */
  constructor(cwd: string, path: string, source: string | null, continues: boolean) {
    this.#path = resolve(cwd, path)
    this.#begun = continues
    if (source !== null && isSame(this.#path, resolve(cwd, source)))
      throw new CommandError(ExitCode.usage, `${path} is the file that is imported.`, 'Name another file with --errors.')
  }

  async add({ number, payload }: PayloadLine, error: string): Promise<void> {
    const text = `${JSON.stringify({ line: number, error, text: payload })}\n`
    try {
      await (this.#begun ? appendFile : writeFile)(this.#path, text)
      this.#begun = true
    } catch (cause) {
      throw new CommandError(
        ExitCode.usage,
        `${this.#path} cannot be written: ${(cause as Error).message}.`,
        'Name another file with --errors.',
        { cause },
      )
    }
  }
}

/** Whether two paths lead to the same file. */
function isSame(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one), statSync(other)]
    return a.dev === b.dev && a.ino === b.ino
  } catch {
    // One of them is not there, or may not be looked at; writing says so.
    return false
  }
}
