import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { settingFor, settingKeys } from '../../../src/config/settings.ts'
import { ownVariable } from '../../../src/config/variables.ts'
import { workspace } from './workspace.ts'

describe('names of variables', () => {
  test('every setting has a variable of its own, made from its key', async (t) => {
    assert.equal(ownVariable('server.port'), 'OCTOFLOW_SERVER_PORT')
    assert.equal(ownVariable('security.oidcAuthorizationUrl'), 'OCTOFLOW_SECURITY_OIDC_AUTHORIZATION_URL')
    const { config } = await workspace(t).load({ env: { OCTOFLOW_CAPTURE_LEASE_SECONDS: '60', OCTOFLOW_PATHS_DATA: '/state' } })
    assert.deepEqual([config.capture.leaseSeconds, config.paths.data], [60, '/state'])
  })

  test('no name stands for two settings', () => {
    const names = settingKeys.flatMap((key) => [ownVariable(key), ...(settingFor(key).env ?? [])])
    assert.equal(new Set(names).size, names.length)
    const flags = settingKeys.map((key) => settingFor(key).flag).filter((flag) => flag !== undefined)
    assert.equal(new Set(flags).size, flags.length)
  })

  test('every alias reaches its setting', async (t) => {
    const { load } = workspace(t)
    const samples: Record<string, string> = {
      DRUMPLER_HOST: 'http://localhost',
      PORT: '1',
      DRUMPLER_PORT: '1',
      API_PORT: '1',
      BODY_LIMIT: '2kB',
      CORS_ALLOWED_ORIGINS: '*',
      TRUST_PROXY: '1',
      DATA_PATH: 'd',
      APP_PATH: 'a',
      DATABASE_URL: 'sqlite:x.db',
      DATABASE_URI: 'sqlite:///x.db',
      AUTHORIZATION_KEY: 'long enough',
      API_TOKEN: 'long enough',
      DISABLE_SECURITY: 'True',
      IAM_SERVER_URL: 'https://iam.example',
      TOKEN_URL: 'https://iam.example',
      AUTH_URL: 'https://iam.example',
      LOGGING_LEVEL: 'ERROR',
      PUBLIC_APIS: 'log-events',
      LOG_EVENTS_RETENTION_DAYS: '30',
      HANDLERS_PATH: 'h',
    }
    // The certificate and its key must be there, which load.test.ts sees to.
    const aliases = settingKeys
      .flatMap((key) => settingFor(key).env ?? [])
      .filter((name) => !/^(CERTIFICATE|KEY)_APP$/.test(name))
    assert.deepEqual(new Set(Object.keys(samples)), new Set(aliases))
    for (const [name, value] of Object.entries(samples)) {
      const loaded = await load({ env: { [name]: value } })
      const given = Object.entries(loaded.origins).filter(([, { source }]) => source === `${name} in the environment`)
      assert.equal(given.length, 1, name)
    }
  })

  test('an unknown variable with the prefix is a problem, with the variable that was meant', async (t) => {
    const meant = {
      OCTOFLOW_SERVR_PORT: 'OCTOFLOW_SERVER_PORT',
      OCTOFLOW_PORT: 'OCTOFLOW_SERVER_PORT',
      OCTOFLOW_HOST: 'OCTOFLOW_SERVER_HOST',
      OCTOFLOW_DATA_PATH: 'OCTOFLOW_PATHS_DATA',
      OCTOFLOW_AUTHORISATION_KEY: 'OCTOFLOW_SECURITY_AUTHORIZATION_KEY',
      OCTOFLOW_URLS: 'OCTOFLOW_URL',
    }
    for (const [wrong, right] of Object.entries(meant))
      assert.deepEqual(await workspace(t).problems({ env: { [wrong]: 'x' } }), [
        `${wrong} in the environment is not a setting. Did you mean ${right}?`,
      ])
    assert.deepEqual(await workspace(t, { '.env': '\nOCTOFLOW_QQQQQQQQ=x' }).problems(), [
      'OCTOFLOW_QQQQQQQQ in .env line 2 is not a setting.',
    ])
  })

  test('other variables are ignored, and those of the command line too', async (t) => {
    const env = { HOST: 'x', PATH: '/bin', PORTS: '1', octoflow_server_port: 'x', OCTOFLOW_URL: 'http://x', OCTOFLOW_KEY: 'k' }
    const { load } = workspace(t)
    assert.deepEqual(await load({ env }), await load())
  })

  test('what Kubernetes sets for services named octoflow, octoflow-server and drumpler is left alone', async (t) => {
    const env = {
      OCTOFLOW_SERVICE_HOST: '10.0.0.7',
      OCTOFLOW_SERVICE_PORT: '5000',
      OCTOFLOW_SERVICE_PORT_HTTP: '5000',
      OCTOFLOW_PORT: 'tcp://10.0.0.7:5000',
      OCTOFLOW_PORT_5000_TCP: 'tcp://10.0.0.7:5000',
      OCTOFLOW_PORT_5000_TCP_ADDR: '10.0.0.7',
      OCTOFLOW_SERVER_PORT: 'tcp://10.0.0.7:5000',
      DRUMPLER_PORT: 'tcp://10.0.0.8:5000',
    }
    const { config, origins } = await workspace(t).load({ env })
    assert.deepEqual([config.server.port, origins['server.port'].source], [5000, 'default'])
  })
})

describe('values of variables', () => {
  test('an empty variable counts as not set, and lets .env speak', async (t) => {
    const { load } = workspace(t, { '.env': 'PORT=7\nAPI_TOKEN=\nLOGGING_LEVEL="  "' })
    const { config } = await load({ env: { PORT: ' ', AUTHORIZATION_KEY: '', FLASK_APP: '', OCTOFLOW_NONSENSE: '' } })
    assert.deepEqual([config.server.port, config.security.authorizationKey, config.security.apiToken], [7, null, null])
    assert.equal(config.logging.level, 'info')
  })

  test('spaces and line ends around a value are cut off', async (t) => {
    const { config } = workspace(t, { '.env': 'LOGGING_LEVEL=debug\r\nTRUST_PROXY= 2 \r\n' })
    const { server, logging, security } = await config({ env: { PORT: ' 8080\n', API_TOKEN: 'secret-token\r\n' } })
    assert.deepEqual([server.port, server.trustProxy, logging.level], [8080, 2, 'debug'])
    assert.equal(security.apiToken, 'secret-token')
  })

  test('two names of one place with different values stop the start, and both are named', async (t) => {
    const { problems } = workspace(t)
    assert.deepEqual(await problems({ env: { PORT: '1', API_PORT: '2' } }), [
      'PORT in the environment, API_PORT in the environment: PORT and API_PORT give server.port different ' +
        'values, 1 and 2. Remove one of them.',
    ])
    const envFile = workspace(t, { '.env': 'DRUMPLER_PORT=1\n\nOCTOFLOW_SERVER_PORT=2' })
    assert.deepEqual(await envFile.problems(), [
      '.env line 3, .env line 1: OCTOFLOW_SERVER_PORT and DRUMPLER_PORT give server.port different values, ' +
        '2 and 1. Remove one of them.',
    ])
  })

  test('two names with the same value, however it is written, are fine', async (t) => {
    const { config } = workspace(t)
    const env = {
      PORT: '80',
      API_PORT: '080',
      DATABASE_URL: 'postgres://db/a',
      DATABASE_URI: 'postgresql+psycopg2://db/a',
      DRUMPLER_HOST: 'http://127.0.0.1',
      OCTOFLOW_SERVER_HOST: '127.0.0.1',
    }
    const { server, database } = await config({ env })
    assert.deepEqual([server.port, server.host, database.url], [80, '127.0.0.1', 'postgres://db/a'])
  })

  test('API_PORT with several ports is answered with what holds now', async (t) => {
    assert.deepEqual(await workspace(t).problems({ env: { API_PORT: '5001,5002' } }), [
      'API_PORT in the environment: server.port is "5001,5002", but one server has one port, on which it ' +
        'serves everything; expected one of them.',
    ])
  })
})

describe('the .env file', () => {
  test('quotes, comments, export and lines that set a name again are understood', async (t) => {
    const text = ['# PORT=1', 'export LOGGING_LEVEL = "debug" # why', "API_TOKEN='a # b c d e'", 'PORT=2', 'PORT=3', ''].join(
      '\n',
    )
    const { config, origins } = await workspace(t, { '.env': text }).load()
    assert.deepEqual([config.logging.level, config.security.apiToken, config.server.port], ['debug', 'a # b c d e', 3])
    const sources = (['logging.level', 'security.apiToken', 'server.port'] as const).map((key) => origins[key].source)
    assert.deepEqual(sources, ['.env line 2', '.env line 3', '.env line 5'])
  })

  test('a byte order mark does no harm', async (t) => {
    assert.equal((await workspace(t, { '.env': '\uFEFFPORT=1' }).config()).server.port, 1)
  })

  test('it never overrides the real environment', async (t) => {
    const { load } = workspace(t, { '.env': 'LOGGING_LEVEL=debug' })
    const { config, origins } = await load({ env: { LOGGING_LEVEL: 'error' } })
    assert.deepEqual([config.logging.level, origins['logging.level'].source], ['error', 'LOGGING_LEVEL in the environment'])
  })

  test('what the environment overrides under another name is a notice, since one of the two is likely forgotten', async (t) => {
    const { load } = workspace(t, { '.env': '\nDRUMPLER_PORT=1\nLOGGING_LEVEL=debug' })
    const notices = async (env: Record<string, string>, port?: string) =>
      (await load({ env, flags: { 'server.port': port } })).notices
    assert.deepEqual(await notices({ PORT: '2', LOGGING_LEVEL: 'error' }), [
      '.env line 2: DRUMPLER_PORT is not used, since PORT in the environment gives server.port.',
    ])
    assert.deepEqual(await notices({ PORT: '1' }), [], 'the same value')
    assert.deepEqual(await notices({ DRUMPLER_PORT: '2' }), [], 'the same name')
    assert.deepEqual(await notices({ PORT: '2' }, '3'), [], 'a flag overrides both')
  })
})

describe('variables without effect', () => {
  test('each that is set is named once, with the reason', async (t) => {
    const { load } = workspace(t, { '.env': 'FLASK_APP=app\nSECRET_KEY=s3cret-value\nWORKER_NAME=w' })
    const { notices } = await load({ env: { FLASK_APP: 'other', JAEGAR_AGENT_HOST_NAME: 'jaeger' } })
    assert.deepEqual(notices, [
      'FLASK_APP in the environment is ignored: Octoflow is no Flask application.',
      'SECRET_KEY in .env line 2 is not used: this version does not sign sessions yet.',
      'WORKER_NAME in .env line 3 is not used: this version does not run Kafka consumers yet.',
      'JAEGAR_AGENT_HOST_NAME in the environment is not used: this version does not send traces yet.',
    ])
  })

  test('all those that older systems had are known', async (t) => {
    const names = [
      ...['FLASK_APP', 'FLASK_DEBUG', 'JWT_TOKEN_LOCATION', 'SECRET_KEY', 'DB_TABLE_NAME', 'CONSUMER_NAME', 'WORKER_NAME'],
      ...['MESSAGE_TIMEOUT', 'JAEGAR_AGENT_HOST_NAME', 'JAEGER_AGENT_HOST_NAME', 'JAEGAR_AGENT_PORT', 'JAEGER_AGENT_PORT'],
    ]
    const { notices } = await workspace(t).load({ env: Object.fromEntries(names.map((name) => [name, '1'])) })
    assert.deepEqual(
      notices.map((notice) => notice.split(' ')[0]),
      names,
    )
  })
})
