import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseUrl } from '../../src/storage/drivers/mysql/url.ts'

test('A URL says where the server is, who asks, and for which database.', () => {
  const { client, poolSize } = parseUrl('mysql://me:s%40crt@db.example:3307/work?pool_size=4&charset=utf8mb4&ssl=true')
  assert.deepEqual(client, {
    host: 'db.example',
    port: 3307,
    user: 'me',
    password: 's@crt',
    database: 'work',
    ssl: {},
  })
  assert.equal(poolSize, 4)
})

test('Without parameters it is the usual port and ten connections.', () => {
  const { client, poolSize } = parseUrl('mysql://me@[::1]/work')
  assert.deepEqual([client.host, client.port, client.ssl, poolSize], ['::1', 3306, undefined, 10])
})

test('A socket takes the place of host and port.', () => {
  const { client } = parseUrl('mysql://me@localhost/work?unix_socket=/run/mysqld/mysqld.sock')
  assert.deepEqual([client.socketPath, client.host], ['/run/mysqld/mysqld.sock', undefined])
})

for (const [url, fault] of [
  ['mysql://u:secret@a:1,b:2/db', /not a URL of one host/],
  ['mysql://u:secret@h', /names no database/],
  ['mysql://u:secret@h/db?pool_size=many', /pool_size=many; expected 1 to 100/],
  ['mysql://u:secret@h/db?pool_size=0', /pool_size=0/],
  ['mysql://u:secret@h/db?ssl=false', /another ssl/],
  ['mysql://u:secret@h/db?sslmode=require', /the parameter sslmode; expected pool_size/],
] as const)
  test(`${url} is refused with the reason and without the password.`, () => {
    assert.throws(
      () => parseUrl(url),
      (error: { readonly code: string; readonly message: string }) => {
        assert.equal(error.code, 'config_invalid')
        assert.match(error.message, fault)
        assert.ok(!error.message.includes('secret'))
        return true
      },
    )
  })
