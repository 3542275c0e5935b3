import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type SettingKey, settingFor } from '../../../src/config/settings.ts'
import { describeMisfit } from '../../../src/config/value-types.ts'

/** The value that a text of the environment or of a flag stands for; `undefined` where it does not fit. */
function fromText(key: SettingKey, text: string): unknown {
  const { type } = settingFor(key)
  return type.check(type.fromText?.(text) ?? text)
}

const fromYaml = (key: SettingKey, value: unknown): unknown => settingFor(key).type.check(value)

function accepts(key: SettingKey, expected: Readonly<Record<string, unknown>>): void {
  for (const [text, value] of Object.entries(expected)) assert.deepEqual(fromText(key, text), value, text)
}

function refuses(key: SettingKey, ...texts: readonly string[]): void {
  for (const text of texts) assert.equal(fromText(key, text), undefined, text)
}

describe('values as text', () => {
  test('a truth value has several forms, in any case', () => {
    accepts('security.disabled', { True: true, true: true, TRUE: true, 1: true, yes: true, On: true })
    accepts('security.disabled', { False: false, false: false, 0: false, No: false, off: false })
    refuses('security.disabled', 'maybe', '2', 'truee', '-1')
  })

  test('a port is a whole number from 0 to 65535', () => {
    accepts('server.port', { 0: 0, 65535: 65_535, '+80': 80, '080': 80 })
    refuses('server.port', '65536', '-1', '80.5', '0x50', '1e3', 'http', '80 81', '')
  })

  test('a size is in bytes or has a unit, and has bounds', () => {
    accepts('server.bodyLimit', { 1048576: 2 ** 20, '512kB': 512_000, '10MiB': 10 * 2 ** 20, '1.5 MiB': 1.5 * 2 ** 20 })
    accepts('server.bodyLimit', { '1kb': 1000, '1KiB': 1024, '1GiB': 2 ** 30, '1 MB': 1e6, '2000b': 2000, '1000.4': 1000 })
    refuses('server.bodyLimit', '999', '1.1GiB', '10M', '-5kB', 'kB', '1 TB', '1  kB', '1ib')
  })

  test('numbers keep to their bounds', () => {
    accepts('capture.leaseSeconds', { 1: 1, 86400: 86_400, '1.5': 1.5 })
    refuses('capture.leaseSeconds', '0', '86401', '-1', 'long')
    accepts('jobs.retentionDays', { 0: 0, '0.5': 0.5 })
    refuses('jobs.retentionDays', '-1', '36501')
    accepts('server.shutdownSeconds', { 0: 0, 3600: 3600 })
    refuses('server.shutdownSeconds', '3601')
    accepts('handlers.concurrency', { 1: 1, 10000: 10_000 })
    refuses('handlers.concurrency', '0', '1.5', '10001')
  })

  test('a log level has its own names and the old ones, in any case', () => {
    accepts('logging.level', { fatal: 'fatal', error: 'error', warn: 'warn', info: 'info', debug: 'debug', trace: 'trace' })
    accepts('logging.level', { CRITICAL: 'fatal', ERROR: 'error', WARNING: 'warn', WARN: 'warn', INFO: 'info', DEBUG: 'debug' })
    accepts('logging.level', { NOTSET: 'trace', silent: 'silent', critical: 'fatal' })
    refuses('logging.level', 'verbose', '10', 'constructor')
  })

  test('roles are some of those there are, each once, in any order and case', () => {
    accepts('server.roles', { api: ['api'], 'Maintenance, API,api': ['api', 'maintenance'] })
    refuses('server.roles', ',', 'gateway', 'api,workers', 'constructor')
    const { type } = settingFor('server.roles')
    assert.equal(
      describeMisfit(type, ['api', 'workr']),
      'names "workr"; expected one or more of api, worker, maintenance. Did you mean worker?',
    )
    assert.match(describeMisfit(type, 7), /^is 7; expected one or more of api, worker, maintenance, separated by commas/)
    assert.match(describeMisfit(type, []), /^is \[\]; expected one or more/)
  })

  test('a word is one of those that the setting knows', () => {
    accepts('logging.format', { auto: 'auto', JSON: 'json', pretty: 'pretty' })
    refuses('logging.format', 'xml')
    accepts('handlers.isolation', { inline: 'inline', thread: 'thread', process: 'process' })
    refuses('handlers.isolation', 'fork')
  })

  test('a host is an address or a name, and of a URL the host is taken', () => {
    accepts('server.host', {
      '0.0.0.0': '0.0.0.0',
      '::1': '::1',
      '[::1]': '::1',
      localhost: 'localhost',
      'My-Host.example': 'my-host.example',
    })
    accepts('server.host', {
      'http://127.0.0.1': '127.0.0.1',
      'http://[::1]:5000/x': '::1',
      'https://api.example/': 'api.example',
    })
    refuses('server.host', 'localhost:5000', 'a b', '-x', 'http://', '/var/run/socket', '*')
  })

  test('origins are a list as browsers send them', () => {
    accepts('server.corsOrigins', {
      '*': ['*'],
      'https://a.example, http://localhost:3000': ['https://a.example', 'http://localhost:3000'],
      'HTTPS://A.Example:443/': ['https://a.example'],
      'capacitor://localhost': ['capacitor://localhost'],
    })
    refuses(
      'server.corsOrigins',
      'a.example',
      'https://a.example/path',
      'https://*.example',
      'https://a.example,b',
      'https://u:p@a.example',
    )
  })

  test('proxies to trust are all, none, a number of hops or networks', () => {
    accepts('server.trustProxy', { true: true, False: false, 0: false, 1: 1, 32: 32 })
    accepts('server.trustProxy', { '10.0.0.1': ['10.0.0.1'], '10.0.0.0/8, ::1/128': ['10.0.0.0/8', '::1/128'] })
    refuses('server.trustProxy', '33', '-1', 'proxy.example', '10.0.0.0/33', '::/129', '10.0.0.1/x', '1.5')
  })

  test('a web address is an http or https URL without a password in it', () => {
    accepts('security.oidcIssuer', { 'https://iam.example/realms/a/': 'https://iam.example/realms/a/', 'http://x': 'http://x' })
    refuses(
      'security.oidcIssuer',
      'iam.example',
      'ftp://iam.example',
      'https://u:p@iam.example',
      'https://u@x',
      'https://:p@x',
      'https://',
    )
  })

  test('a key has at least eight characters and is none of the old defaults', () => {
    accepts('security.authorizationKey', { '12345678': '12345678' })
    refuses('security.authorizationKey', '1234567', 'default_key', 'default_token', 'AUTH_KEY_HERE', 'Default_Key')
    refuses('security.apiToken', '1234567', 'default_key', 'default_token', 'AUTH_KEY_HERE')
  })

  test('a text is more than spaces', () => {
    accepts('security.oidcAudience', { 'octo flow': 'octo flow' })
    refuses('security.oidcAudience', '', '  ')
  })

  test('a path is not empty', () => {
    accepts('paths.data', { '../x y': '../x y' })
    refuses('paths.data', '', 'a\0b')
  })
})

describe('what is said of a value that does not fit', () => {
  const said = (key: SettingKey, raw: unknown): string => describeMisfit(settingFor(key).type, raw)

  test('a port behind a host is pointed to its own setting', () => {
    assert.equal(
      said('server.host', 'localhost:80'),
      'is "localhost:80"; expected a host without a port. The port stands in server.port.',
    )
    assert.equal(said('server.host', 'a b'), 'is "a b"; expected an IP address, a host name, or a URL with one.')
  })

  test('a long value is cut', () => {
    assert.equal(said('logging.format', 'x'.repeat(200)), `is "${'x'.repeat(79)}…; expected one of auto, json, pretty.`)
  })
})

describe('values from YAML', () => {
  test('types count: a number is a number and text is text', () => {
    assert.equal(fromYaml('server.port', 80), 80)
    assert.equal(fromYaml('server.port', '80'), undefined)
    assert.equal(fromYaml('security.disabled', true), true)
    for (const value of ['true', 1, 'yes']) assert.equal(fromYaml('security.disabled', value), undefined)
    for (const key of ['security.apiToken', 'security.oidcAudience', 'paths.data', 'server.host', 'database.url'] as const)
      for (const value of [12345678, true, ['12345678'], { a: '12345678' }]) assert.equal(fromYaml(key, value), undefined, key)
  })

  test('a size may be a number or text', () => {
    assert.equal(fromYaml('server.bodyLimit', 5000), 5000)
    assert.equal(fromYaml('server.bodyLimit', '5kB'), 5000)
    for (const value of [[5000], true, Number.NaN]) assert.equal(fromYaml('server.bodyLimit', value), undefined)
  })

  test('lists may be lists or text with commas', () => {
    assert.deepEqual(fromYaml('server.corsOrigins', []), [])
    assert.deepEqual(fromYaml('server.corsOrigins', ['https://a.example', '*']), ['https://a.example', '*'])
    assert.deepEqual(fromYaml('server.corsOrigins', 'https://a.example,*'), ['https://a.example', '*'])
    assert.equal(fromYaml('server.corsOrigins', ['https://a.example', 5]), undefined)
    assert.deepEqual(fromYaml('server.trustProxy', ['10.0.0.1']), ['10.0.0.1'])
    assert.deepEqual(fromYaml('server.trustProxy', []), false)
    assert.deepEqual([fromYaml('server.trustProxy', 2), fromYaml('server.trustProxy', true)], [2, true])
    assert.deepEqual([fromYaml('server.trustProxy', '2'), fromYaml('server.trustProxy', 'true')], [undefined, undefined])
  })
})
