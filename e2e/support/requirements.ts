import type { TestContext } from 'node:test'

/**
 * Skips a test that cannot run on this machine. Where `CI` is set it fails instead: there nothing may be left out unnoticed.
 * @param why what is missing and which command would bring it.
 */
export function skipUnlessCi(t: TestContext, why: string): void {
  if ((process.env.CI ?? '') !== '') throw new Error(why)
  t.skip(why)
}
