import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Config } from '../../../src/config/compile.ts'
import { type ConfigSources, type LoadedConfig, loadConfig } from '../../../src/config/load.ts'
import { isOctoflowError } from '../../../src/errors/octoflow-error.ts'

type Sources = Partial<Omit<ConfigSources, 'cwd'>>

/** A working directory of a test's own, with the server's configuration loaded in it. */
export interface Workspace {
  readonly path: (...parts: readonly string[]) => string
  readonly load: (sources?: Sources) => Promise<LoadedConfig>
  readonly config: (sources?: Sources) => Promise<Config>
  /** The lines of the error that stops the start. */
  readonly problems: (sources?: Sources) => Promise<readonly string[]>
}

/** @param files their texts, by their path in the working directory. */
export function workspace(t: TestContext, files: Readonly<Record<string, string>> = {}): Workspace {
  const cwd = realpathSync(mkdtempSync(join(tmpdir(), 'octoflow-config-')))
  t.after(() => rmSync(cwd, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true })
    writeFileSync(join(cwd, name), text)
  }
  const load = (sources: Sources = {}): Promise<LoadedConfig> => loadConfig({ env: {}, flags: {}, cwd, ...sources })
  return {
    path: (...parts) => join(cwd, ...parts),
    load,
    config: async (sources) => (await load(sources)).config,
    async problems(sources) {
      const error = await load(sources).then(
        () => assert.fail('the configuration was accepted'),
        (reason: unknown) => reason,
      )
      assert.ok(isOctoflowError(error, 'config_invalid'), String(error))
      return String(error.details.problems).split('\n')
    },
  }
}
