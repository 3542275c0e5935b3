import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { describe, test } from 'node:test'
import { workspace } from './workspace.ts'

const yaml = (text: string) => ({ 'data/octoflow.yml': text })
const lines = (...texts: readonly string[]) => yaml(texts.join('\n'))

describe('what octoflow.yml may hold', () => {
  test('an empty file, a comment, an empty section and a null set nothing', async (t) => {
    for (const text of ['', '# nothing yet', 'server:', 'server:\n  port:\n  key: null', '~']) {
      const { origins } = await workspace(t, yaml(text)).load()
      assert.deepEqual(new Set(Object.values(origins).map(({ source }) => source)), new Set(['default']), text)
    }
  })

  test('values keep the types that YAML gives them', async (t) => {
    const { config } = workspace(
      t,
      lines(
        'server:',
        '  port: 0x1388',
        '  bodyLimit: 10MiB',
        '  trustProxy: [10.0.0.0/8, "::1"]',
        '  corsOrigins:',
        '    - https://a.example',
        'security: { disabled: true, apiToken: "12345678" }',
        'jobs: { retentionDays: 0.5 }',
      ),
    )
    const { server, security, jobs } = await config()
    assert.deepEqual([server.port, server.bodyLimit], [5000, 10 * 2 ** 20])
    assert.deepEqual([server.trustProxy, server.corsOrigins], [['10.0.0.0/8', '::1'], ['https://a.example']])
    assert.deepEqual([security.disabled, security.apiToken, jobs.retentionDays], [true, '12345678', 0.5])
  })

  test('a setting may be written with dots, and anchors and aliases work', async (t) => {
    const { config } = workspace(t, lines('server.host: &host localhost', 'security.oidcAudience: *host'))
    const { server, security } = await config()
    assert.deepEqual([server.host, security.oidcAudience], ['localhost', 'localhost'])
  })

  test('a byte order mark does no harm', async (t) => {
    assert.equal((await workspace(t, yaml('\uFEFFserver: { port: 1 }')).config()).server.port, 1)
  })
})

describe('what does not fit in octoflow.yml', () => {
  test('a name that is no setting is named with its line and the nearest one that is', async (t) => {
    const { problems } = workspace(
      t,
      lines(
        'server:',
        '  # the port',
        '  prot: 5000',
        'srever:',
        '  port: 1',
        'port: 2',
        'zzzzzzzzzzzz: 3',
        'log: {level: info}',
        'jobs: {retentoinDays: {a: 1}}',
        'prot: 3',
      ),
    )
    assert.deepEqual(await problems(), [
      'octoflow.yml line 3: server.prot is not a setting. Did you mean server.port?',
      'octoflow.yml line 4: srever is not a section. Did you mean server?',
      'octoflow.yml line 6: port is not a setting. Did you mean server.port?',
      'octoflow.yml line 7: zzzzzzzzzzzz is not a setting.',
      'octoflow.yml line 8: log is not a section.',
      'octoflow.yml line 9: jobs.retentoinDays is not a setting. Did you mean jobs.retentionDays?',
      'octoflow.yml line 10: prot is not a setting. Did you mean server.port?',
    ])
  })

  test('text where a number or a truth value is expected is answered with how to write it', async (t) => {
    const { problems } = workspace(t, lines('server:', '  port: "5000"', 'security:', '  disabled: yes'))
    assert.deepEqual(await problems(), [
      'octoflow.yml line 2: server.port is "5000"; expected a whole number from 0 to 65535. In YAML, write 5000.',
      'octoflow.yml line 4: security.disabled is "yes"; expected true or false. In YAML, write true.',
    ])
  })

  test('values of other types are shown as they were found', async (t) => {
    const { problems } = workspace(
      t,
      lines(
        'server: { port: 1.5, host: 127, shutdownSeconds: .inf, key: [a] }',
        'jobs: { retentionDays: { days: 3 } }',
        'logging: { level: true }',
      ),
    )
    assert.deepEqual(
      (await problems()).map((problem) => problem.replace(/; .*/, '')),
      [
        'octoflow.yml line 1: server.port is 1.5',
        'octoflow.yml line 1: server.host is 127',
        'octoflow.yml line 1: server.shutdownSeconds is Infinity',
        'octoflow.yml line 1: server.key is ["a"]',
        'octoflow.yml line 2: jobs.retentionDays is a group of settings',
        'octoflow.yml line 3: logging.level is true',
      ],
    )
  })

  test('the paths it is found by cannot stand in it, and the message says why', async (t) => {
    const { problems } = workspace(t, lines('paths:', '  data: elsewhere', '  app: .'))
    assert.deepEqual(await problems(), [
      'octoflow.yml line 2: paths.data cannot be set in this file, since octoflow.yml itself is looked for ' +
        'in the data directory. Use --data or DATA_PATH.',
      'octoflow.yml line 3: paths.app cannot be set in this file, since the .env file in the app’s root is ' +
        'read before octoflow.yml. Use --app or APP_PATH.',
    ])
  })

  test('a section that is no group, and a file that is none, are problems', async (t) => {
    const expected = 'is no group of settings; expected lines of the form "name: value".'
    assert.deepEqual(await workspace(t, lines('logging: {}', 'server: 5000')).problems(), [
      `octoflow.yml line 2: server ${expected}`,
    ])
    assert.deepEqual(await workspace(t, lines('', '- server')).problems(), [`octoflow.yml line 2: the file ${expected}`])
  })

  test('the same setting twice with different values is a problem', async (t) => {
    assert.deepEqual(await workspace(t, lines('server.port: 1', 'server:', '  port: 2')).problems(), [
      'octoflow.yml line 1, octoflow.yml line 3: server.port and server.port give server.port different ' +
        'values, 1 and 2. Remove one of them.',
    ])
    assert.equal((await workspace(t, lines('server.port: 1', 'server:', '  port: 1')).config()).server.port, 1)
  })

  test('wrong syntax is told with its line', async (t) => {
    const wrong = {
      'server:\n\tport: 1': 'octoflow.yml line 2: this is not YAML that can be used: tabs cannot indent; use spaces.',
      'server:\n  port: 1\n  port: 1':
        'octoflow.yml line 3: this is not YAML that can be used: the same name stands here twice.',
      'server:\n  host: "a':
        'octoflow.yml line 2: this is not YAML that can be used: a colon, a quote or a bracket is missing.',
      'server:\n  host: *a': 'octoflow.yml line 2: this is not YAML that can be used: an alias (*) refers to no anchor (&).',
      'server:\n  host: !env A': 'octoflow.yml line 2: this is not YAML that can be used: tags beginning with ! are not known.',
      'server: ]': 'octoflow.yml line 1: this is not YAML that can be used: the syntax is wrong (UNEXPECTED_TOKEN).',
    }
    for (const [text, problem] of Object.entries(wrong))
      assert.equal((await workspace(t, yaml(text)).problems())[0], problem, text)
  })

  test('a directory in its place is a problem', async (t) => {
    const { problems, path } = workspace(t)
    mkdirSync(path('data', 'octoflow.yml'), { recursive: true })
    assert.deepEqual(await problems(), [`octoflow.yml: ${path('data', 'octoflow.yml')} cannot be read: it is a directory.`])
  })
})
