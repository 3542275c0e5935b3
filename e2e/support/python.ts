import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Python with packages installed, or why there is none. */
export type Environment = { readonly python: string } | { readonly missing: string }

/**
 * A virtual environment with packages of the Python Package Index. It is kept in the system's directory for temporary files,
 * so that the next run finds it there.
 * @param packages with their versions, such as `requests==2.32.3`.
 */
export async function pythonWith(name: string, packages: readonly string[]): Promise<Environment> {
  const directory = join(tmpdir(), `octoflow-e2e-python-${name}`)
  const python = join(directory, 'bin', 'python')
  if (existsSync(python)) return { python }
  const draft = mkdtempSync(`${directory}-`)
  try {
    await attempt('python3', ['-m', 'venv', draft])
    await attempt(join(draft, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages])
    // Whole or not at all, also when another run prepares the same.
    renameSync(draft, directory)
    return { python }
  } catch (error) {
    if (existsSync(python)) return { python }
    return { missing: (error as Error).message }
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

async function attempt(command: string, args: readonly string[]): Promise<void> {
  try {
    await run(command, [...args])
  } catch (error) {
    const { stderr = '', message } = error as Error & { readonly stderr?: string }
    throw new Error(`\`${[command, ...args].join(' ')}\` does not work here: ${stderr.trim().split('\n').at(-1) || message}`)
  }
}
