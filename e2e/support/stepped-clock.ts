import { globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Octoflow, startOctoflow } from './octoflow.ts'
import { temporaryDirectory } from './owner.ts'
import { skipUnlessCi } from './requirements.ts'

/** A time of day for processes of a test's own, which it sets to so many seconds ahead of the true one; no other clock of theirs. */
export interface FalseClock {
  /** What such a process has in its environment. */
  readonly env: Readonly<Record<string, string>>
  set(seconds: number): void
}

/** `null`, having skipped the test, where there is none. */
export function falseClock(t: TestContext): FalseClock | null {
  const [library] = globSync(['/usr/lib/*/faketime/libfaketime.so.1', '/usr/{,local/}lib{,64}/faketime/libfaketime.so.1'])
  if (library === undefined) {
    skipUnlessCi(t, 'libfaketime is missing, which steps the clock of one process: apt-get install libfaketime')
    return null
  }
  const file = join(temporaryDirectory(t), 'faketime')
  const set = (seconds: number): void => writeFileSync(file, `${seconds < 0 ? '' : '+'}${seconds}\n`)
  set(0)
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_RESET: '1',
    },
    set,
  }
}

export interface SteppedOctoflow extends Octoflow {
  /** Steps the server's time of day to so many seconds ahead of the true one. Resolves once the server has noticed. */
  step(seconds: number): Promise<void>
}

/** Starts a server whose time of day can be stepped; `null`, having skipped the test, where none can be. */
export async function startWithClock(t: TestContext): Promise<SteppedOctoflow | null> {
  const clock = falseClock(t)
  if (clock === null) return null
  const octoflow = await startOctoflow(t, { env: clock.env })
  const noticed = (): number => octoflow.server.log.filter(({ msg }) => msg.includes('stepped')).length
  return {
    ...octoflow,
    async step(seconds) {
      const before = noticed()
      clock.set(seconds)
      await octoflow.server.logged(() => noticed() > before, 'the server has noticed the step')
    },
  }
}
