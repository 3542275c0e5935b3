import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { OctoflowError } from '../errors/octoflow-error.ts'

/** @throws `data_directory_unusable` */
export function makeDataDirectory(path: string): void {
  try {
    makeDirectory(path)
  } catch (error) {
    throw new OctoflowError('data_directory_unusable', { path, reason: (error as Error).message }, { cause: error })
  }
}

/**
 * Makes a directory and those above it that are missing, one by one: where the system lets nobody make one, as in `/proc`,
 * Node's own recursive mkdir never ends.
 */
export function makeDirectory(path: string): void {
  if (isDirectory(path)) return
  if (dirname(path) !== path) makeDirectory(dirname(path))
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!isDirectory(path)) throw error
  }
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
