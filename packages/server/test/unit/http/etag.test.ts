import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import { sendWithEtag, versionOf } from '../../../src/http/apis/native/etag.ts'

/** A route that answers `text`, and one that tells which version `If-Match` names. */
function serve(state: { text: string; version?: string }): FastifyInstance {
  const app = Fastify()
  app.get('/', (request, reply) => sendWithEtag(request, reply, state.text, state.version))
  app.patch('/', async (request) => ({ version: versionOf(request) }))
  return app
}

test('An answer has an ETag, and is 304 without a body to who has it already.', async () => {
  const state = { text: '{"n":1}' }
  await using app = serve(state)
  const first = await app.inject('/')
  assert.deepEqual([first.statusCode, first.body], [200, state.text])
  assert.match(first.headers['content-type'] as string, /^application\/json/)
  assert.equal(first.headers['cache-control'], 'private, no-cache')
  const etag = first.headers.etag as string
  assert.match(etag, /^"[\w-]+"$/)
  const again = (known: string) => app.inject({ url: '/', headers: { 'if-none-match': known } })
  for (const known of [etag, `W/${etag}`, `"x", ${etag}`, `"x",W/${etag} `, '*']) {
    const answer = await again(known)
    assert.deepEqual([answer.statusCode, answer.body, answer.headers.etag], [304, '', etag], known)
  }
  for (const known of ['"x"', etag.slice(0, -2), etag.replaceAll('"', ''), ''])
    assert.equal((await again(known)).statusCode, 200, known)
  state.text = '{"n":2}'
  assert.equal((await again(etag)).statusCode, 200)
})

test('The version in an ETag is what If-Match names, whatever else of the answer has changed since.', async () => {
  await using app = serve({ text: '{}', version: '17' })
  const etag = (await app.inject('/')).headers.etag as string
  const named = async (match?: string): Promise<unknown> => {
    const headers = match === undefined ? {} : { 'if-match': match }
    return (await app.inject({ method: 'PATCH', url: '/', headers })).json<{ version: unknown }>().version
  }
  assert.deepEqual([await named(etag), await named(`W/${etag}`), await named('"17-other"')], [17, 17, 17])
  assert.deepEqual([await named(), await named('*')], [null, null])
  for (const nonsense of ['', '17', '"17"', '"x-17"', '"-17-x"', '"1.7-x"']) assert.equal(await named(nonsense), -1, nonsense)
})
