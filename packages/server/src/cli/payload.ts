import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { addAbortSignal } from 'node:stream'
import { text as readText } from 'node:stream/consumers'
import { CommandError } from './command-error.ts'
import { ExitCode } from './exit-code.ts'
import type { Session } from './session.ts'

/**
 * The payload that an argument stands for: JSON, `@file`, or `-` for standard input.
 * @returns JSON text as it was given, so that no digit of a large number is lost.
 */
export async function readPayload(session: Session, argument: string): Promise<string> {
  if (argument === '-') return checked(await readStdin(session), 'standard input')
  if (argument.startsWith('@')) return checked(await readPayloadFile(session, argument.slice(1)), argument.slice(1))
  return checked(argument, 'the payload')
}

const readStdin = ({ host, signal }: Session): Promise<string> => readText(addAbortSignal(signal, host.stdin))

async function readPayloadFile({ host, signal }: Session, file: string): Promise<string> {
  try {
    return await readFile(resolve(host.cwd, file), { encoding: 'utf8', signal })
  } catch (error) {
    throw unreadable(file, error)
  }
}

export const unreadable = (file: string, error: unknown): CommandError =>
  new CommandError(
    ExitCode.usage,
    `${file} cannot be read: ${reasonFor(error)}.`,
    'Name a file that exists and may be read, or - for standard input.',
    { cause: error },
  )

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'this user may not read it',
}

const reasonFor = (error: unknown): string => {
  const { code = '', message } = error as NodeJS.ErrnoException
  return REASONS[code] ?? message
}

function checked(given: string, where: string): string {
  const text = given.replace(/^\uFEFF/, '').trim()
  const fault = jsonFault(text)
  if (fault === null) return text
  throw new CommandError(
    ExitCode.usage,
    `What stands in ${where} is not JSON: ${fault}.`,
    `Put JSON in single quotes, such as '{"name":"Ada"}'; a text needs quotes of its own: '"Ada"'.`,
  )
}

/** Why a text is not JSON; `null` if it is. */
export function jsonFault(text: string): string | null {
  if (text === '') return 'it is empty'
  try {
    JSON.parse(text)
    return null
  } catch (error) {
    return (error as Error).message.replace(/ is not valid JSON$/, '')
  }
}
