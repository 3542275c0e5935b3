import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { compose, type Octoflow } from '../../../src/compose.ts'
import { compile } from '../../../src/config/compile.ts'
import type { SettingKey } from '../../../src/config/settings.ts'
import { settle } from '../../../src/config/settle.ts'
import { CommandLine } from './command-line.ts'

export const KEY = 'cli-test-key'

/** The handlers of the quickstart: `greet` completes, `import` fails, waits and gives up as its payload says. */
const HANDLERS = fileURLToPath(new URL('../../../../../examples/quickstart/workers', import.meta.url))

/** A server in the process of the test, with its database in memory, that stops when the test is over. */
export async function startServer(
  t: TestContext,
  settings: { readonly [Key in SettingKey]?: unknown } = {},
): Promise<Octoflow> {
  const all = { 'database.url': 'sqlite::memory:', 'server.port': 0, ...settings }
  const given = Object.entries(all).map(([key, raw]) => ({ key: key as SettingKey, name: key, source: 'the test', raw }))
  const { values, problems } = settle([given])
  assert.deepEqual(problems, [])
  const server = await compose(compile(values, tmpdir()), { logger: pino({ level: 'silent' }), version: '1.2.3', keys: [KEY] })
  await server.start()
  t.after(() => server.stop())
  return server
}

export interface Site {
  readonly cli: CommandLine
  readonly server: Octoflow
  readonly url: string
}

/** A server and a command line that knows its address and key from the environment. */
export async function startSite(t: TestContext, { handlers = false } = {}): Promise<Site> {
  const server = await startServer(t, handlers ? { 'handlers.directory': HANDLERS } : {})
  const url = server.http.url!
  return { server, url, cli: new CommandLine(t, { OCTOFLOW_URL: url, OCTOFLOW_KEY: KEY }) }
}
