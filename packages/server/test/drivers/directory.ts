import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A directory that is gone with the test. */
export class Directory {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async make(parent: string = tmpdir()): Promise<Directory> {
    return new Directory(await mkdtemp(join(parent, 'octoflow-test-')))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true })
  }
}

/** A disk of its own, in memory. */
export class Disk {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  async makeReadOnly(): Promise<void> {
    await run('mount', ['-o', 'remount,ro', this.path])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', [this.path])
  }
}

/**
 * Mounts a disk of a given size inside a directory.
 * @returns `null` where this user or this system cannot.
 */
export async function mountTmpfs(directory: Directory, size: string): Promise<Disk | null> {
  const path = join(directory.path, 'disk')
  await mkdir(path)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
    return new Disk(path)
  } catch {
    return null
  }
}
