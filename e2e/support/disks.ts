import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { type Owner, temporaryDirectory, whenDone } from './owner.ts'

/** What this machine does not let a test do, and what would let it. */
export interface Missing {
  readonly missing: string
}

/** Mounts a small file system in memory, gone when the owner has finished. */
export function smallDisk(owner: Owner, megabytes: number): { readonly path: string } | Missing {
  if (!isRoot()) return { missing: 'only root may mount a small disk: run the tests with sudo' }
  const path = temporaryDirectory(owner)
  const missing = mount(['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path])
  if (missing !== null) return missing
  whenDone(owner, () => void execFileSync('umount', [path]))
  return { path }
}

/**
 * Makes a directory that nobody can write to, until the owner has finished. Permissions do not keep root from writing, so
 * that for root it becomes a file system of its own.
 */
export function makeReadOnly(owner: Owner, path: string): Missing | null {
  if (!isRoot()) {
    chmodSync(path, 0o555)
    whenDone(owner, () => chmodSync(path, 0o755))
    return null
  }
  const missing = mount(['--bind', path, path])
  if (missing !== null) return missing
  whenDone(owner, () => void execFileSync('umount', [path]))
  return mount(['-o', 'remount,bind,ro', path])
}

const isRoot = (): boolean => process.getuid?.() === 0

function mount(args: readonly string[]): Missing | null {
  try {
    execFileSync('mount', args, { stdio: 'pipe' })
    return null
  } catch (error) {
    return {
      missing: `nothing can be mounted here; in a container, \`--cap-add SYS_ADMIN\` allows it: ${(error as Error).message}`,
    }
  }
}
