import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseUrl } from '../../src/storage/drivers/postgres/url.ts'

test('Octoflow’s own parameters are taken out of the URL, and all others are left to the client.', () => {
  const { client, schema, poolSize } = parseUrl('postgres://u:p@h:5433/db?schema=work&pool_size=4&sslmode=require')
  assert.deepEqual([schema, poolSize], ['work', 4])
  assert.equal(client.connectionString, 'postgres://u:p@h:5433/db?sslmode=require&uselibpqcompat=true')
})

test('Without them it is the schema public and ten connections.', () => {
  const { schema, poolSize } = parseUrl('postgres://h/db')
  assert.deepEqual([schema, poolSize], ['public', 10])
})

for (const [url, fault] of [
  ['postgres://u:secret@a:1,b:2/db', /not a URL of one host/],
  ['postgres://u:secret@h/db?pool_size=many', /pool_size=many; expected 1 to 100/],
  ['postgres://u:secret@h/db?pool_size=0', /pool_size=0/],
  ['postgres://u:secret@h/db?schema=', /names a schema/],
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
