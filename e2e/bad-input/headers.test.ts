import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { exchange, requestHead } from '../support/raw-connection.ts'

const headers = (count: number, value: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-header-${n}`, value]))

test('Headers of more than 16 KiB together are 431.', async (t) => {
  const { client, server } = await startOctoflow(t)
  for (const bomb of [
    headers(5_000, 'x'),
    headers(1_000, 'x'.repeat(100)),
    { 'x-large': 'x'.repeat(17_000) },
    { 'x-large': 'x'.repeat(2 ** 20) },
    { authorization: `Bearer ${'x'.repeat(20_000)}` },
    { cookie: 'a=b; '.repeat(10_000) },
  ])
    for (const path of ['/healthz', '/request', '/api/v1/jobs']) {
      const answer = await exchange(t, server.url, requestHead('GET', path, bomb))
      assert.equal(answer?.status, 431)
      const { code, message, detail } = JSON.parse(answer.text) as Record<string, string>
      assert.equal(code, 'headers_too_large')
      assert.match(message ?? '', /16 KiB/, 'in the form of the capture API')
      assert.match(detail ?? '', /16 KiB/, 'in the form of the native API')
    }
  assert.equal((await client.get('/healthz')).status, 200)
})

test('A URL of more than 16 KiB is 431, too.', async (t) => {
  const { server } = await startOctoflow(t)
  for (const length of [17_000, 2 ** 20])
    assert.equal((await exchange(t, server.url, requestHead('GET', `/${'x'.repeat(length)}`)))?.status, 431)
})

test('Thousands of tiny headers are either served or refused.', async (t) => {
  const { client, server } = await startOctoflow(t)
  for (const count of [2_000, 4_000, 8_000]) {
    const head = `GET /healthz HTTP/1.1\r\nHost: x\r\n${'a:b\r\n'.repeat(count)}\r\n`
    const answer = await exchange(t, server.url, head)
    assert.ok([200, 400, 431].includes(answer?.status ?? 0), `${count}: ${answer?.status}`)
  }
  assert.equal((await client.get('/healthz')).status, 200)
})

test('A header with bytes beyond ASCII, in a place where the server reads it, does no harm.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const bytes = 'Gr\u00f6\u00dfe \u00ff\u0080'
  for (const [name, expected] of [
    ['user-agent', 200],
    ['idempotency-key', 200],
    ['x-hub-signature', 200],
    ['content-type', 200],
    ['x-forwarded-for', 200],
    ['x-api-key', 200],
    ['authorization', 401],
    ['content-encoding', 415],
    ['host', 200],
  ] as const) {
    const answer = await exchange(
      t,
      server.url,
      `${requestHead('POST', '/request', { 'content-length': '2', [name]: bytes })}{}`,
    )
    assert.equal(answer?.status, expected, `${name}: ${answer?.text}`)
  }
  for (let id = 1; id <= 7; id++) {
    assert.equal((await client.get(`/request/${id}`)).status, 200)
    assert.equal((await client.get(`/api/v1/requests/${id}`)).status, 200)
  }
})

test('If-Match and If-None-Match that are no ETags do no harm.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.patch('/api/v1/queues/q', { json: { paused: true } })
  for (const tag of ['', '"', '*', 'W/', '"0-"', '"-1-x"', '"1e99-x"', `"${'9'.repeat(400)}-x"`, ',,,', '"a","b"']) {
    const read = await client.get('/api/v1/queues/q', { headers: { 'if-none-match': tag } })
    assert.ok([200, 304].includes(read.status), `${tag}: ${read.status}`)
    const changed = await client.patch('/api/v1/queues/q', { json: { paused: true }, headers: { 'if-match': tag } })
    assert.ok([200, 412].includes(changed.status), `${tag}: ${changed.status}`)
  }
})

test('A Last-Event-ID that is none is answered with a stream that begins with a reset.', async (t) => {
  const { server } = await startOctoflow(t)
  for (const id of ['', '-', 'x-1', '1e99', '0-0', 'x'.repeat(1_000)]) {
    const control = new AbortController()
    const headers = { authorization: 'Bearer e2e-static-key', 'last-event-id': id }
    const response = await fetch(`${server.url}/api/v1/stream`, { headers, signal: control.signal })
    assert.equal(response.status, 200)
    let text = ''
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
      text += part
      if (text.includes('event: reset') || (id === '' && text.includes('retry:'))) break
    }
    control.abort()
  }
})
