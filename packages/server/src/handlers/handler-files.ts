import { readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, extname, relative, resolve, sep } from 'node:path'
import { OctoflowError } from '../errors/octoflow-error.ts'

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs']

/** A file that runs the jobs of one queue. */
export interface HandlerFile {
  readonly queue: string
  readonly path: string
}

/**
 * The handlers in a directory: each module runs the jobs of the queue it is named after. Declarations, tests and names that
 * begin with a dot or an underscore are not handlers.
 * @throws `handler_invalid` if the directory cannot be read, or two files are for the same queue.
 */
export function handlersIn(directory: string): readonly HandlerFile[] {
  const files = listing(directory)
    .filter((name) => EXTENSIONS.includes(extname(name)) && !/^[._]|\.d\.m?ts$|\.(?:test|spec)\.\w+$/.test(name))
    .map((name) => ({ queue: basename(name, extname(name)), path: resolve(directory, name) }))
  const twice = files.find((file, index) => files.findIndex((other) => other.queue === file.queue) < index)
  if (twice !== undefined)
    throw new OctoflowError('handler_invalid', {
      file: twice.path,
      reason: `another file is for the queue "${twice.queue}" too`,
    })
  return files
}

function listing(directory: string): string[] {
  try {
    return readdirSync(directory).sort()
  } catch (error) {
    throw new OctoflowError('handler_invalid', { file: directory, reason: (error as Error).message }, { cause: error })
  }
}

/**
 * The file that a queue's setting `handler` names, which must lie below the app's root, symbolic links followed: who may set
 * it may not thereby run just any file of the machine.
 * @throws `handler_invalid`
 */
export function resolveHandler(appRoot: string, handler: string): string {
  const path = resolve(appRoot, handler)
  try {
    const inside = relative(realpathSync(appRoot), realpathSync(path))
    if (inside === '' || inside.startsWith(`..${sep}`) || inside === '..') throw new Error('it lies outside the app’s root')
    if (!statSync(path).isFile()) throw new Error('it is not a file')
    return path
  } catch (error) {
    throw new OctoflowError('handler_invalid', { file: path, reason: (error as Error).message }, { cause: error })
  }
}
