import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describe } from '../../../src/config/describe.ts'
import { settingKeys } from '../../../src/config/settings.ts'
import { workspace } from './workspace.ts'

test('every setting is listed in its order, with its value and where it came from', async (t) => {
  const { load, path } = workspace(t, { '.env': 'BODY_LIMIT=512kB' })
  const env = { CORS_ALLOWED_ORIGINS: 'https://a.example,https://b.example', HANDLERS_PATH: 'workers' }
  const { config, origins } = await load({ env, flags: { 'server.port': '0' } })
  const rows = describe(config, origins)
  assert.deepEqual(
    rows.map(({ key }) => key),
    settingKeys,
  )
  const row = (key: string) => rows.find((candidate) => candidate.key === key)
  assert.deepEqual(row('server.port'), { key: 'server.port', value: '0', source: '--port', overrides: [] })
  const limit = { key: 'server.bodyLimit', value: '500 KiB', source: '.env line 1', overrides: [] }
  assert.deepEqual(row('server.bodyLimit'), limit)
  assert.equal(row('server.corsOrigins')?.value, 'https://a.example, https://b.example')
  assert.equal(row('server.trustProxy')?.value, 'false')
  assert.equal(row('handlers.directory')?.value, path('workers'))
  const file = `sqlite:${path('data/octoflow.db')}`
  assert.deepEqual(row('database.url'), { key: 'database.url', value: file, source: 'default', overrides: [] })
})

test('a setting that several places give, under whatever names, says which counts and which it overrides', async (t) => {
  const { load } = workspace(t, { '.env': 'DRUMPLER_PORT=2', 'data/octoflow.yml': 'server:\n  port: 1' })
  const overrides = async (sources: Parameters<typeof load>[0]) => {
    const { config, origins } = await load(sources)
    const { value, source, overrides } = describe(config, origins).find(({ key }) => key === 'server.port')!
    return [value, source, overrides]
  }
  const [file, envFile, env] = ['octoflow.yml line 2', '.env line 1', 'PORT in the environment']
  assert.deepEqual(await overrides({}), ['2', envFile, [file]])
  assert.deepEqual(await overrides({ env: { PORT: '3' } }), ['3', env, [envFile, file]])
  assert.deepEqual(await overrides({ env: { PORT: '2' } }), ['2', env, [file]], 'the same value is not overridden')
  assert.deepEqual(await overrides({ env: { PORT: '3' }, flags: { 'server.port': '4' } }), [
    '4',
    '--port',
    [env, envFile, file],
  ])
})

test('what is not set is listed as what that comes down to', async (t) => {
  const { config, origins } = await workspace(t).load()
  const shown = Object.fromEntries(describe(config, origins).map(({ key, value }) => [key, value]))
  assert.equal(shown['jobs.retentionDays'], 'for ever')
  assert.equal(shown['handlers.concurrency'], 'the available parallelism')
  assert.equal(shown['server.corsOrigins'], 'none')
  assert.equal(shown['security.apiToken'], 'not set')
})

test('a database is shown in a form that can be set again', async (t) => {
  const { load, config } = workspace(t)
  for (const url of ['sqlite:x.db', 'sqlite::memory:', 'mysql://db/x']) {
    const loaded = await load({ flags: { 'database.url': url } })
    const shown = describe(loaded.config, loaded.origins).find(({ key }) => key === 'database.url')!.value
    assert.deepEqual((await config({ flags: { 'database.url': shown } })).database, loaded.config.database)
  }
})
