import { execFile } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Config } from '../../config/compile.ts'
import { isOctoflowError } from '../../errors/octoflow-error.ts'
import { type HandlerFile, handlersIn } from '../../handlers/handler-files.ts'
import type { Host } from '../host.ts'
import { type Finding, ok, problem, warning } from './finding.ts'

const CHECK = 'handlers'
const LOADED_WITHIN_MS = 15_000
const LOADER = fileURLToPath(new URL('./load-handler.ts', import.meta.url))

/** Loads each handler of the handlers' directory, in a process of its own: it is the user's code. */
export async function checkHandlers({ handlers: { directory } }: Config, host: Host): Promise<readonly Finding[]> {
  if (directory === null) return [ok(CHECK, 'none in the server itself')]
  try {
    const files = handlersIn(directory)
    if (files.length === 0)
      return [warning(CHECK, `There is none in ${directory}.`, 'Put a file there that is named after its queue.')]
    return await Promise.all(files.map((file) => loadFinding(file, host)))
  } catch (error) {
    if (!isOctoflowError(error)) throw error
    return [problem(CHECK, error.message, error.hint)]
  }
}

function loadFinding({ queue, path }: HandlerFile, host: Host): Promise<Finding> {
  const args = [LOADER, pathToFileURL(path).href]
  return new Promise((resolve) => {
    execFile(host.node.path, args, { timeout: LOADED_WITHIN_MS, cwd: host.cwd }, (error, _stdout, stderr) => {
      if (error === null) return resolve(ok(CHECK, `${queue}: ${path}`))
      const reason = error.killed === true ? 'it is not loaded within 15 s' : (stderr.trim().split('\n')[0] ?? error.message)
      resolve(problem(CHECK, `${path} cannot be loaded: ${reason}.`, 'A handler file exports a function named `process`.'))
    })
  })
}
