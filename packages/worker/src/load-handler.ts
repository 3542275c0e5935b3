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
    throw new WorkerError('module_invalid', `The module ${path} cannot be loaded: ${messageOf(error)}`, { cause: error })
  }
}
