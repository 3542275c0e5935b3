import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

type CleanUp = () => Promise<void> | void

/** Whoever must clean up in the end: a test's context, or the hooks of a file. */
export interface Owner {
  after(cleanUp: CleanUp): void
}

const pending = new WeakMap<Owner, CleanUp[]>()

/**
 * Has `cleanUp` called when the owner has finished. What was asked for last comes first, since it stands on what came
 * before; node:test itself keeps to the order of the calls.
 */
export function whenDone(owner: Owner, cleanUp: CleanUp): void {
  const known = pending.get(owner)
  if (known !== undefined) {
    known.push(cleanUp)
    return
  }
  const all = [cleanUp]
  pending.set(owner, all)
  owner.after(() => runBackwards(all))
}

/** One that fails does not keep the others from cleaning up. */
async function runBackwards(all: readonly CleanUp[]): Promise<void> {
  const failures: unknown[] = []
  for (const cleanUp of all.toReversed()) {
    try {
      await cleanUp()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures, 'several things went wrong while cleaning up')
}

/** A directory of the owner's own, gone when it has finished. */
export function temporaryDirectory(owner: Owner): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'octoflow-e2e-')))
  whenDone(owner, () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
  return path
}
