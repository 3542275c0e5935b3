import { accessSync, constants, readFileSync, statSync } from 'node:fs'

/** The text of a file, or why there is none: a code of the operating system such as `ENOENT`. */
export type TextFile = { readonly text: string } | { readonly failure: string }

/** Without the byte order mark that some Windows editors put first. */
export function readTextFile(file: string): TextFile {
  try {
    return { text: readFileSync(file, 'utf8').replace(/^\uFEFF/, '') }
  } catch (error) {
    return { failure: codeOf(error) }
  }
}

/** Why a file cannot be read, as a code of the operating system; `null` if it can. */
export function whyUnreadable(file: string): string | null {
  try {
    if (statSync(file).isDirectory()) return 'EISDIR'
    accessSync(file, constants.R_OK)
    return null
  } catch (error) {
    return codeOf(error)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'the permission is missing',
  EPERM: 'the permission is missing',
}

export const isMissing = (code: string): boolean => code === 'ENOENT' || code === 'ENOTDIR'

export const describeFailure = (code: string): string => REASONS[code] ?? code

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  throw error
}
