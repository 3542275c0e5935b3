import { createReadStream, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { addAbortSignal, type Readable } from 'node:stream'
import { unreadable } from '../payload.ts'
import type { Session } from '../session.ts'

/** As many as one call takes. */
const LARGEST_BATCH = 1_000

/** In characters; half of what the server takes by default. A batch that is too large all the same is sent in halves. */
const LARGEST_BODY = 512 * 1024

export interface PayloadLine {
  /** Counted from 1. */
  readonly number: number
  readonly payload: string
}

export interface LineSource {
  readonly stream: Readable
  /** In bytes; `null` where it is not known. */
  readonly size: number | null
}

/** @param file a path, or `-` for standard input. */
export function openLines({ host, signal }: Session, file: string): LineSource {
  if (file === '-') return { stream: addAbortSignal(signal, host.stdin), size: null }
  const path = resolve(host.cwd, file)
  try {
    const status = statSync(path)
    if (status.isDirectory()) throw new Error('it is a directory')
    return { stream: addAbortSignal(signal, createReadStream(path)), size: status.isFile() ? status.size : null }
  } catch (error) {
    throw unreadable(file, error)
  }
}

/** The lines that are not empty, in batches that one call takes, with how many bytes have been read up to each. */
export async function* batches(
  stream: Readable,
): AsyncGenerator<{ readonly lines: readonly PayloadLine[]; readonly bytesRead: number }> {
  let lines: PayloadLine[] = []
  let size = 0
  let number = 0
  let bytesRead = 0
  for await (const text of linesOf(stream)) {
    number++
    const payload = (number === 1 ? text.replace(/^\uFEFF/, '') : text).trim()
    if (lines.length === LARGEST_BATCH || (lines.length > 0 && size + payload.length > LARGEST_BODY)) {
      yield { lines, bytesRead }
      lines = []
      size = 0
    }
    bytesRead += Buffer.byteLength(text) + 1
    if (payload === '') continue
    lines.push({ number, payload })
    size += payload.length
  }
  if (lines.length > 0) yield { lines, bytesRead }
}

async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()!
    yield* parts
  }
  if (rest !== '') yield rest
}
