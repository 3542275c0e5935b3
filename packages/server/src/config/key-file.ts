import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OctoflowError } from '../errors/octoflow-error.ts'
import { makeDirectory } from './make-directory.ts'
import { describeMisfit, secret } from './value-types.ts'

/** Where the key lies that a server without configured credentials makes for itself. */
export const keyFilePath = (dataDirectory: string): string => join(dataDirectory, 'key')

export interface OwnKey {
  readonly key: string
  readonly path: string
  /** Whether there was none before. */
  readonly made: boolean
}

/**
 * The key in the data directory; made, readable by the owner alone, if there is none.
 * @throws `data_directory_unusable`, `config_invalid` for a key that would not do as a configured one either
 */
export function readOrMakeKey(dataDirectory: string): OwnKey {
  const own = readOrPlace(dataDirectory)
  const fault = keyFault(own)
  if (fault !== null) throw new OctoflowError('config_invalid', { problems: fault })
  return own
}

/** A sentence on what is wrong with a key that people or an older system put into the file; `null` if nothing is. */
export const keyFault = ({ key, path }: Pick<OwnKey, 'key' | 'path'>): string | null =>
  secret.check(key) === undefined ? `The key in ${path} ${describeMisfit(secret, key)}` : null

function readOrPlace(dataDirectory: string): OwnKey {
  const path = keyFilePath(dataDirectory)
  try {
    const known = readKeyFile(path)
    if (known !== null) return { key: known, path, made: false }
    const key = randomBytes(24).toString('base64url')
    makeDirectory(dataDirectory)
    const made = place(key, path)
    return made ? { key, path, made } : { key: readKeyFile(path) ?? key, path, made }
  } catch (error) {
    throw new OctoflowError(
      'data_directory_unusable',
      { path: dataDirectory, reason: (error as Error).message },
      { cause: error },
    )
  }
}

/** @returns `null` if there is no such file, or nothing in it. */
export function readKeyFile(path: string): string | null {
  try {
    const key = readFileSync(path, 'utf8').trim()
    return key === '' ? null : key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Everything but reading and writing by the owner. */
const TOO_OPEN = 0o177

/** Whether others than its owner can read the file. Windows knows no such modes. */
export const isOpenToOthers = (path: string, platform: string): boolean =>
  platform !== 'win32' && (statSync(path).mode & TOO_OPEN) !== 0

/** Puts a whole file in place at once. @returns `false` if another process that starts now was quicker. */
function place(key: string, path: string): boolean {
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, `${key}\n`, { mode: 0o600, flag: 'wx' })
  try {
    // What an interrupted start or an editor left empty is no key.
    if (readKeyFile(path) === null) rmSync(path, { force: true })
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}
