import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { settingKeys } from '../../src/config/settings.ts'
import { CommandLine } from './support/command-line.ts'

interface Printed {
  readonly settings: readonly { readonly key: string; readonly value: string; readonly source: string }[]
  readonly notices: readonly string[]
  readonly problems: readonly string[]
}

test('config prints every setting, its value and where it comes from; secrets are masked.', async (t) => {
  const cli = new CommandLine(t, { AUTHORIZATION_KEY: 'a-very-secret-key' })
  mkdirSync(cli.path('data'))
  writeFileSync(cli.path('data', 'octoflow.yml'), 'server:\n  port: 6000\n')
  const { code, out } = await cli.run('config', '--host', '127.0.0.2')
  assert.equal(code, ExitCode.ok)
  assert.match(out, /^SETTING +VALUE +FROM +OVERRIDES\n/)
  assert.match(out, /\nserver\.host +127\.0\.0\.2 +--host\n/)
  assert.match(out, /\nserver\.port +6000 +.*octoflow\.yml line 2\n/)
  assert.match(out, /\nsecurity\.authorizationKey .* AUTHORIZATION_KEY in the environment\n/)
  assert.ok(!out.includes('a-very-secret-key'))
  const { settings, problems } = await cli.json<Printed>('config')
  assert.deepEqual(
    settings.map(({ key }) => key),
    settingKeys,
  )
  assert.deepEqual(problems, [])
})

test('config names what no longer means anything.', async (t) => {
  const cli = new CommandLine(t, { FLASK_APP: 'x' })
  assert.match((await cli.run('config')).err, /^note: .*FLASK_APP/)
  assert.equal((await cli.json<Printed>('config')).notices.length, 1)
})

test('A configuration with problems gives exit code 7, and with --json a document that lists them.', async (t) => {
  const cli = new CommandLine(t, { OCTOFLOW_NONSENSE: '1' })
  const text = await cli.run('config', '--port', 'x')
  assert.deepEqual([text.code, text.out], [ExitCode.config, ''])
  assert.match(text.err, /--port: server\.port is "x"/)
  const { code, out } = await cli.run('config', '--port', 'x', '--json')
  assert.equal(code, ExitCode.config)
  const { problems } = JSON.parse(out) as Printed
  assert.equal(problems.length, 2)
})

test('openapi prints the document of the API, the same with --json.', async (t) => {
  const cli = new CommandLine(t)
  const { code, out, err } = await cli.run('openapi')
  assert.deepEqual([code, err], [ExitCode.ok, ''])
  const { openapi, paths } = JSON.parse(out) as { openapi: string; paths: Readonly<Record<string, object>> }
  assert.match(openapi, /^3\.1/)
  for (const path of ['/request', '/jobs/next-pending', '/api/v1/jobs']) assert.ok(path in paths, path)
  assert.equal((await cli.run('openapi', '--json')).out, out)
})
