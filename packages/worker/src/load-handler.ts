import { fileURLToPath } from 'node:url'
import type { ProcessFunction } from './job-context.ts'
import { messageOf, WorkerError } from './worker-error.ts'

/**
 * Imports a module and takes its export `process`.
 * @param href the module's `file:` URL.
 * Errors: `module_invalid`.
 */
export async function loadHandler(href: string): Promise<ProcessFunction> {
  const path = fileURLToPath(href)
  const module = await importModule(href, path)
  if (typeof module.process === 'function') return module.process as ProcessFunction
  const exported = Object.keys(module)
  const found = exported.length === 0 ? 'It exports nothing.' : `It exports ${exported.join(', ')}.`
  throw new WorkerError(
    'module_invalid',
    `The module ${path} does not export a function named "process". ${found} ` +
      'Add `export async function process(request, job) { … }`.',
  )
}

async function importModule(href: string, path: string): Promise<Record<string, unknown>> {
  try {
    return await import(href)
  } catch (error) {
    const message = `The module ${path} cannot be loaded: ${messageOf(error)}${placeOf(error)}`
    throw new WorkerError('module_invalid', message, { cause: error })
  }
}

/** The line of the user's code that the error comes from, as far as its stack tells. */
function placeOf(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  // With the place itself where TypeScript cannot be parsed, else with a frame of a file among those of Node's own modules.
  const [, file, line] = /^(\S+):(\d+)\n/.exec(stack) ?? /(file:[^\s()]+?):(\d+)/.exec(stack) ?? []
  if (file === undefined) return ''
  return ` (${file.startsWith('file:') ? fileURLToPath(file) : file}, line ${line})`
}
