import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { workspace } from './workspace.ts'

describe('the parts of a database’s address', () => {
  test('they make a URL where none is given', async (t) => {
    const env = { DB_HOST: 'db.example', DB_PORT: '5433', DB_NAME: 'jobs', DB_USER: 'octo', DB_PASS: 'p@ss/w:rd' }
    const { config, origins } = await workspace(t).load({ env })
    assert.deepEqual(config.database, { driver: 'postgres', url: 'postgres://octo:p%40ss%2Fw%3Ard@db.example:5433/jobs' })
    assert.equal(origins['database.url'].source, 'DB_HOST in the environment')
  })

  test('the port tells the kind of database', async (t) => {
    const { config } = workspace(t)
    const database = async (port: string) => (await config({ env: { DB_HOST: 'db', DB_PORT: port } })).database
    assert.deepEqual(await database('3306'), { driver: 'mysql', url: 'mysql://db:3306' })
    assert.deepEqual(await database('27017'), { driver: 'mongodb', url: 'mongodb://db:27017' })
    assert.deepEqual(await database('5432'), { driver: 'postgres', url: 'postgres://db:5432' })
    assert.deepEqual(await database(''), { driver: 'postgres', url: 'postgres://db' })
  })

  test('an IPv6 address gets its brackets', async (t) => {
    assert.equal((await workspace(t).config({ env: { DB_HOST: '::1', DB_PASSWORD: 'x' } })).database.url, 'postgres://:x@[::1]')
  })

  test('without DB_HOST they mean nothing', async (t) => {
    const { load } = workspace(t)
    assert.deepEqual(await load({ env: { DB_PORT: 'x', DB_PASS: 'a', DB_PASSWORD: 'b' } }), await load())
  })

  test('a URL from any source goes before them, and a notice says so', async (t) => {
    const { load } = workspace(t, { 'data/octoflow.yml': 'database: { url: sqlite:mine.db }' })
    const { config, notices } = await load({ env: { DB_HOST: 'db' } })
    assert.equal(config.database.driver, 'sqlite')
    assert.deepEqual(notices, [
      'DB_HOST in the environment: DB_HOST is not used, since octoflow.yml line 1 gives database.url.',
    ])
    const { database } = await workspace(t, { '.env': 'DATABASE_URL=mysql://my/x' }).config({ env: { DB_HOST: 'db' } })
    assert.equal(database.url, 'mysql://my/x')
  })

  test('parts may come from the environment and from .env', async (t) => {
    const { config } = workspace(t, { '.env': 'DB_PASSWORD=from-file\nDB_USER=u' })
    assert.equal((await config({ env: { DB_HOST: 'db' } })).database.url, 'postgres://u:from-file@db')
    assert.equal((await config({ env: { DB_HOST: 'db', DB_PASS: 'real' } })).database.url, 'postgres://u:real@db')
    const other = workspace(t, { '.env': 'DB_PASS=from-file' })
    assert.equal((await other.config({ env: { DB_HOST: 'db', DB_PASSWORD: 'real' } })).database.url, 'postgres://:real@db')
  })

  test('two different passwords stop the start and are not shown', async (t) => {
    const { problems, config } = workspace(t)
    assert.deepEqual(await problems({ env: { DB_HOST: 'db', DB_PASS: 'one', DB_PASSWORD: 'two' } }), [
      'DB_PASS in the environment, DB_PASSWORD in the environment: DB_PASS and DB_PASSWORD give different ' +
        'passwords. Remove one of them.',
    ])
    const same = await config({ env: { DB_HOST: 'db', DB_PASS: 'one', DB_PASSWORD: 'one' } })
    assert.equal(same.database.url, 'postgres://:one@db')
  })

  test('a host or port that is none stops the start', async (t) => {
    assert.deepEqual(await workspace(t).problems({ env: { DB_HOST: 'a b', DB_PORT: '0' } }), [
      'DB_HOST in the environment: DB_HOST is "a b"; expected an IP address, a host name, or a URL with one.',
      'DB_PORT in the environment: DB_PORT is 0; expected a whole number from 1 to 65535.',
    ])
  })
})

describe('DRUMPLER_DEBUG', () => {
  test('True means the level debug where no level is given', async (t) => {
    const { load } = workspace(t)
    const { config, origins } = await load({ env: { DRUMPLER_DEBUG: 'True' } })
    assert.deepEqual([config.logging.level, origins['logging.level'].source], ['debug', 'DRUMPLER_DEBUG in the environment'])
    assert.equal((await load({ env: { DRUMPLER_DEBUG: 'False' } })).config.logging.level, 'info')
  })

  test('a level from any source goes before it', async (t) => {
    const { config } = workspace(t, { 'data/octoflow.yml': 'logging: { level: error }' })
    assert.equal((await config({ env: { DRUMPLER_DEBUG: 'True' } })).logging.level, 'error')
    assert.equal((await config({ env: { DRUMPLER_DEBUG: 'True', LOGGING_LEVEL: 'WARNING' } })).logging.level, 'warn')
  })

  test('anything but a truth value stops the start', async (t) => {
    assert.deepEqual(await workspace(t).problems({ env: { DRUMPLER_DEBUG: 'maybe' } }), [
      'DRUMPLER_DEBUG in the environment: DRUMPLER_DEBUG is "maybe"; expected true or false.',
    ])
  })
})
