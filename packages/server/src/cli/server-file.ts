import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectory } from '../config/make-directory.ts'
import { OctoflowError } from '../errors/octoflow-error.ts'

/** What a running server writes into its data directory, so that commands find it. */
export interface ServerFile {
  /** Where it can be reached from this machine. */
  readonly url: string
  readonly pid: number
}

export const serverFilePath = (dataDirectory: string): string => join(dataDirectory, 'server.json')

/** @throws `data_directory_unusable` */
export function writeServerFile(dataDirectory: string, server: ServerFile): void {
  const path = serverFilePath(dataDirectory)
  const draft = `${path}.${server.pid}`
  try {
    makeDirectory(dataDirectory)
    // In place at once, so that nobody reads half of it.
    writeFileSync(draft, `${JSON.stringify(server)}\n`)
    renameSync(draft, path)
  } catch (error) {
    rmSync(draft, { force: true })
    throw new OctoflowError(
      'data_directory_unusable',
      { path: dataDirectory, reason: (error as Error).message },
      { cause: error },
    )
  }
}

/** @returns `null` if there is none that makes sense. */
export function readServerFile(dataDirectory: string): ServerFile | null {
  try {
    const { url, pid } = JSON.parse(readFileSync(serverFilePath(dataDirectory), 'utf8')) as Partial<ServerFile>
    return typeof url === 'string' && URL.canParse(url) && Number.isSafeInteger(pid) ? { url, pid: pid! } : null
  } catch {
    return null
  }
}

/** Removes the file unless another server has put its own in its place meanwhile. */
export function removeServerFile(dataDirectory: string, pid: number): void {
  if (readServerFile(dataDirectory)?.pid === pid) rmSync(serverFilePath(dataDirectory), { force: true })
}

/** A server that listens on all addresses is reached at the loopback one. */
export function reachableUrl(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
}
