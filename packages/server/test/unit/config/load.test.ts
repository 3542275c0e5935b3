import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync } from 'node:fs'
import { test } from 'node:test'
import { CONFIG_FILE } from '../../../src/config/config-file.ts'
import { type SettingKey, settingKeys } from '../../../src/config/settings.ts'
import { isOctoflowError } from '../../../src/errors/octoflow-error.ts'
import { workspace } from './workspace.ts'

const IN_DATA = `data/${CONFIG_FILE}`

test('without any source every setting has its default', async (t) => {
  const { load, path } = workspace(t)
  const { config, origins, notices } = await load()
  assert.deepEqual(config, {
    server: {
      host: '127.0.0.1',
      port: 5000,
      bodyLimit: 1_048_576,
      certificate: null,
      key: null,
      corsOrigins: [],
      trustProxy: false,
      roles: ['api', 'worker', 'maintenance'],
      shutdownSeconds: 20,
    },
    paths: { data: path('data'), app: path() },
    database: { driver: 'sqlite', url: path('data', 'octoflow.db') },
    security: {
      authorizationKey: null,
      apiToken: null,
      disabled: false,
      publicApis: [],
      oidcIssuer: null,
      oidcAudience: null,
      oidcRolesClaim: null,
      oidcTokenUrl: null,
      oidcAuthorizationUrl: null,
    },
    logging: { level: 'info', format: 'auto' },
    jobs: { retentionDays: null },
    capture: { leaseSeconds: 900 },
    logEvents: { retentionDays: null, rules: [] },
    handlers: { directory: null, isolation: 'inline', concurrency: null },
  })
  assert.deepEqual(Object.keys(origins), settingKeys)
  assert.deepEqual(new Set(Object.values(origins).map(({ source }) => source)), new Set(['default']))
  assert.deepEqual(notices, [])
})

test('octoflow.yml, .env, the environment and flags each win over those before', async (t) => {
  const { load } = workspace(t, { [IN_DATA]: '# mine\nserver:\n  port: 1001\n', '.env': 'A=1\n\nPORT=1002\n' })
  const file = await workspace(t, { [IN_DATA]: '# mine\nserver:\n  port: 1001\n' }).load()
  assert.deepEqual(
    [file.config.server.port, file.origins['server.port']],
    [1001, { value: 1001, source: 'octoflow.yml line 3', overridden: [] }],
  )
  const envFile = await load()
  assert.deepEqual([envFile.config.server.port, envFile.origins['server.port'].source], [1002, '.env line 3'])
  const environment = await load({ env: { PORT: '1003' } })
  assert.deepEqual(
    [environment.config.server.port, environment.origins['server.port'].source],
    [1003, 'PORT in the environment'],
  )
  const flag = await load({ env: { PORT: '1003' }, flags: { 'server.port': '1004' } })
  assert.deepEqual([flag.config.server.port, flag.origins['server.port'].source], [1004, '--port'])
})

test('a later source wins under another name too', async (t) => {
  const { config } = workspace(t, { '.env': 'DRUMPLER_PORT=1002' })
  assert.equal((await config({ env: { API_PORT: '1003' } })).server.port, 1003)
})

test('a flag that was not given leaves the setting alone', async (t) => {
  const { load } = workspace(t)
  const { config, origins } = await load({ env: { PORT: '1003' }, flags: { 'server.port': undefined } })
  assert.deepEqual([config.server.port, origins['server.port'].source], [1003, 'PORT in the environment'])
})

test('a flag may be a switch, and one without its value is refused', async (t) => {
  const { config, problems } = workspace(t)
  assert.equal((await config({ flags: { 'security.disabled': true } })).security.disabled, true)
  assert.deepEqual(await problems({ flags: { 'paths.data': true, 'paths.app': '' } }), [
    '--data: paths.data is true; expected a path.',
    '--app: paths.app is ""; expected a path.',
  ])
})

test('the file named by --config is read instead of octoflow.yml', async (t) => {
  const { load } = workspace(t, { [IN_DATA]: 'logging: { level: warn }', 'conf/prod.yml': 'server:\n  port: 7000' })
  const { config, origins } = await load({ file: 'conf/prod.yml' })
  assert.equal(config.logging.level, 'info')
  assert.deepEqual([config.server.port, origins['server.port'].source], [7000, 'conf/prod.yml line 2'])
})

test('a file named by --config must be there', async (t) => {
  const { problems, path } = workspace(t)
  const [problem, ...others] = await problems({ file: 'missing.yml' })
  assert.match(problem!, /^--config: .*missing\.yml cannot be read: there is no such file\. Name a YAML file/)
  assert.ok(problem!.includes(path('missing.yml')))
  assert.deepEqual(others, [])
})

test('octoflow.yml is looked for in the data directory, wherever that is named', async (t) => {
  const { config } = workspace(t, { 'here/octoflow.yml': 'server: { port: 1 }', 'there/octoflow.yml': 'server: { port: 2 }' })
  assert.equal((await config({ env: { DATA_PATH: 'here' } })).server.port, 1)
  assert.equal((await config({ env: { DATA_PATH: 'here' }, flags: { 'paths.data': 'there' } })).server.port, 2)
})

test('.env is looked for in the app’s root and may name the data directory', async (t) => {
  const { config, path } = workspace(t, { 'app/.env': 'DATA_PATH=state', 'state/octoflow.yml': 'server: { port: 3 }' })
  const { paths, server } = await config({ flags: { 'paths.app': 'app' } })
  assert.deepEqual(paths, { data: path('state'), app: path('app') })
  assert.equal(server.port, 3)
})

test('an APP_PATH in .env moves the app’s root, and no second .env is read there', async (t) => {
  const { config, path } = workspace(t, { '.env': 'APP_PATH=app', 'app/.env': 'PORT=4' })
  const { paths, server } = await config()
  assert.deepEqual([paths.app, server.port], [path('app'), 5000])
})

test('a directory called .env, or a data path that is a file, is as good as none', async (t) => {
  const { config, path } = workspace(t, { 'file.txt': '' })
  mkdirSync(path('.env'))
  assert.equal((await config({ env: { DATA_PATH: 'file.txt' } })).server.port, 5000)
})

test('an .env that cannot be read is a problem', async (t) => {
  const { problems, path } = workspace(t)
  symlinkSync('.env', path('.env'))
  assert.deepEqual(await problems(), [`.env: ${path('.env')} cannot be read: ELOOP. Make it readable, or remove it.`])
})

test('paths are absolute: data and certificates from the working directory, handlers from the app’s root', async (t) => {
  const { config, path } = workspace(t, { 'tls/cert.pem': '', 'tls/key.pem': '' })
  const env = { CERTIFICATE_APP: 'tls/cert.pem', KEY_APP: 'tls/key.pem', HANDLERS_PATH: 'workers', APP_PATH: 'app' }
  const { server, handlers, paths } = await config({ env })
  assert.deepEqual([server.certificate, server.key], [path('tls/cert.pem'), path('tls/key.pem')])
  assert.equal(handlers.directory, path('app/workers'))
  assert.deepEqual(paths, { data: path('data'), app: path('app') })
  assert.equal((await config({ flags: { 'handlers.directory': '/srv/workers' } })).handlers.directory, '/srv/workers')
})

test('a certificate without a key, and a key without a certificate, stop the start', async (t) => {
  const { problems } = workspace(t, { 'a.pem': '' })
  assert.deepEqual(await problems({ env: { CERTIFICATE_APP: 'a.pem' } }), [
    'CERTIFICATE_APP in the environment: server.certificate is set, but server.key is not; expected both or neither.',
  ])
  assert.deepEqual(await problems({ env: { KEY_APP: 'a.pem' } }), [
    'KEY_APP in the environment: server.key is set, but server.certificate is not; expected both or neither.',
  ])
})

test('a certificate and a key must be files that can be read', async (t) => {
  const { problems, path } = workspace(t, { 'folder/a.pem': '' })
  const found = await problems({ env: { CERTIFICATE_APP: 'missing.pem', KEY_APP: 'folder' } })
  assert.deepEqual(found, [
    `CERTIFICATE_APP in the environment: server.certificate is "${path('missing.pem')}", which cannot be ` +
      'read: there is no such file; expected a PEM file.',
    `KEY_APP in the environment: server.key is "${path('folder')}", which cannot be read: it is a ` +
      'directory; expected a PEM file.',
  ])
})

test('security may be disabled on loopback addresses only', async (t) => {
  const { config, problems } = workspace(t)
  const disabled = (host: string) => ({ env: { DISABLE_SECURITY: 'True' }, flags: { 'server.host': host } })
  for (const host of ['127.0.0.1', '127.8.9.10', '::1', '[::1]', 'localhost', 'LocalHost', 'http://localhost:5000'])
    assert.equal((await config(disabled(host))).security.disabled, true, host)
  for (const host of ['0.0.0.0', '::', '192.168.0.7', '127.evil.example', 'localhost.example', 'http://10.0.0.1']) {
    const [problem, ...others] = await problems(disabled(host))
    assert.match(
      problem!,
      /^DISABLE_SECURITY in the environment: security\.disabled is true, while server\.host is \S+ \(--host\)/,
    )
    assert.deepEqual(others, [], host)
  }
  const open = await config({ env: { DISABLE_SECURITY: 'False' }, flags: { 'server.host': '0.0.0.0' } })
  assert.equal(open.security.disabled, false)
})

test('all problems of all sources are reported at once, a line each', async (t) => {
  const { load } = workspace(t, { [IN_DATA]: 'a: 1\nserver:\n  prot: 5000\n', '.env': '\nPORT=x' })
  const env = { DB_HOST: 'db', DB_PORT: 'z', OCTOFLOW_SERVR_PORT: '1', DISABLE_SECURITY: 'on' }
  await assert.rejects(load({ env, flags: { 'server.host': '0.0.0.0', 'paths.data': 'data' } }), (error) => {
    assert.ok(isOctoflowError(error, 'config_invalid'))
    const [title, ...lines] = error.message.split('\n')
    assert.equal(title, 'The configuration does not fit:')
    assert.deepEqual(
      lines.map((line) => line.replace(/[;.]( .*)?$/, '')),
      [
        'octoflow.yml line 1: a is not a setting',
        'octoflow.yml line 3: server.prot is not a setting',
        'OCTOFLOW_SERVR_PORT in the environment is not a setting',
        'DB_PORT in the environment: DB_PORT is "z"',
        '.env line 2: server.port is "x"',
        'DISABLE_SECURITY in the environment: security.disabled is true, while server.host is 0.0.0.0 (--host)',
      ],
    )
    return true
  })
})

test('a value that a later source overrides must fit all the same', async (t) => {
  const { problems } = workspace(t, { '.env': 'PORT=many' })
  assert.deepEqual(await problems({ flags: { 'server.port': '80' } }), [
    '.env line 1: server.port is "many"; expected a whole number from 0 to 65535.',
  ])
})

test('what is loaded is frozen through and through', async (t) => {
  const { load } = workspace(t)
  const loaded = await load({ env: { CORS_ALLOWED_ORIGINS: 'https://a.example', TRUST_PROXY: '10.0.0.1', DB_HOST: 'db' } })
  const seen: string[] = []
  const check = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return
    seen.push(path)
    assert.ok(Object.isFrozen(value), path)
    for (const [name, part] of Object.entries(value)) check(part, `${path}.${name}`)
  }
  check(loaded, '')
  for (const path of ['.config.server.corsOrigins', '.config.server.trustProxy', '.config.database', '.origins.server.port'])
    assert.ok(seen.includes(path), path)
  assert.throws(() => Object.assign(loaded.config.server, { port: 1 }), TypeError)
})

test('every setting can be given in every source that may hold it', async (t) => {
  const samples = {
    'server.host': 'localhost',
    'server.port': 1,
    'server.bodyLimit': 2000,
    'server.certificate': 'a.pem',
    'server.key': 'a.pem',
    'server.corsOrigins': ['https://a.example'],
    'server.trustProxy': 2,
    'server.roles': ['worker'],
    'server.shutdownSeconds': 0.5,
    'paths.data': 'd',
    'paths.app': 'a',
    'database.url': 'sqlite:x.db',
    'security.authorizationKey': 'long enough',
    'security.apiToken': 'long enough too',
    'security.disabled': true,
    'security.publicApis': ['log-events'],
    'security.oidcIssuer': 'https://iam.example/realms/a/',
    'security.oidcAudience': 'octoflow',
    'security.oidcRolesClaim': 'a.b',
    'security.oidcTokenUrl': 'https://iam.example/token',
    'security.oidcAuthorizationUrl': 'https://iam.example/auth',
    'logging.level': 'debug',
    'logging.format': 'json',
    'jobs.retentionDays': 1.5,
    'capture.leaseSeconds': 60,
    'logEvents.retentionDays': 30,
    'logEvents.rules': '[{"name":"a","match":{"type":"user"},"queue":"q"}]',
    'handlers.directory': 'h',
    'handlers.isolation': 'thread',
    'handlers.concurrency': 3,
  } satisfies Record<SettingKey, unknown>
  assert.deepEqual(Object.keys(samples), settingKeys)
  const inFile = Object.entries(samples).filter(([key]) => !key.startsWith('paths.'))
  const yaml = workspace(t, { 'a.pem': '', [IN_DATA]: JSON.stringify(Object.fromEntries(inFile)) })
  const text = workspace(t, { 'a.pem': '' })
  const flags = Object.fromEntries(Object.entries(samples).map(([key, value]) => [key, String(value)]))

  const fromFile = await yaml.load()
  for (const [key] of inFile) assert.equal(fromFile.origins[key as SettingKey].source, 'octoflow.yml line 1', key)
  const fromFlags = await text.load({ flags })
  for (const key of settingKeys) assert.match(fromFlags.origins[key].source, /^--/, key)
  for (const [key] of inFile)
    assert.deepEqual(fromFlags.origins[key as SettingKey].value, fromFile.origins[key as SettingKey].value, key)
})
