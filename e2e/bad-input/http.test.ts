import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { exchange, RawConnection, requestHead } from '../support/raw-connection.ts'

const JSON_BODY = '{"a":1}'

/** A request that is captured if it is whole. */
const captureHead = (headers: Readonly<Record<string, string>> = {}): string =>
  requestHead('POST', '/request?custom_value=App', { 'content-type': 'application/json', ...headers })

test('What is no HTTP is 400, and the connection is closed.', async (t) => {
  const { client, server } = await startOctoflow(t)
  for (const garbage of [
    'garbage\r\n\r\n',
    '\u0000\u0001\u0002\u0003\r\n\r\n',
    '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
    'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
    'GET / x HTTP/1.1\r\nHost: x\r\n\r\n',
    'BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'GET / HTTP/1.1\r\nno colon\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nNul: a\u0000b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nFolded: a\r\n b\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
  ]) {
    const connection = new RawConnection(t, server.url)
    await connection.send(garbage)
    const answer = await connection.answer()
    assert.equal(answer?.status, 400, JSON.stringify(garbage))
    await connection.ended()
  }
  assert.equal((await client.get('/healthz')).status, 200)
})

test('Garbage behind a good request does not keep that from being answered, and ends the connection.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const connection = new RawConnection(t, server.url)
  await connection.send(requestHead('GET', '/healthz'))
  assert.equal((await connection.answer())?.status, 200)
  await connection.send('garbage\r\n\r\n')
  assert.equal((await connection.answer())?.status, 400)
  await connection.ended()
  assert.equal((await client.get('/healthz')).status, 200)
})

test('Requests sent without waiting for the answers before are answered in order.', async (t) => {
  const { server } = await startOctoflow(t)
  const connection = new RawConnection(t, server.url)
  const heads = ['/healthz', '/request/7', '/nothing', '/healthz'].map((path) => requestHead('GET', path))
  await connection.send(heads.join(''))
  const statuses: unknown[] = []
  for (const _ of heads) statuses.push((await connection.answer())?.status)
  assert.deepEqual(statuses, [200, 404, 404, 200])
})

test('HTTP/1.0 is answered, and the connection is closed.', async (t) => {
  const { server } = await startOctoflow(t)
  const connection = new RawConnection(t, server.url)
  await connection.send('GET /healthz HTTP/1.0\r\n\r\n')
  assert.equal((await connection.answer())?.status, 200)
  await connection.ended()
})

test('A request that names the whole URL is served like one that names the path.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const target = `${server.url}/request?custom_value=App`
  const headers = { host: new URL(server.url).host, 'content-length': '2', 'content-type': 'application/json' }
  const answer = await exchange(t, server.url, `${requestHead('POST', target, headers)}{}`)
  assert.equal(answer?.status, 200, answer?.text ?? 'no answer')
  assert.equal(((await client.get('/request/1')).json as { request_url: unknown }).request_url, target)

  const unknown = await exchange(t, server.url, requestHead('GET', `${server.url}/api/v1/nothing`))
  assert.equal(unknown?.status, 404)
  assert.equal(unknown?.headers.get('content-type'), 'application/problem+json; charset=utf-8')
  for (const bare of [server.url, `${server.url}?a=1`, 'HTTP://OTHER.EXAMPLE/'])
    assert.equal((await exchange(t, server.url, requestHead('GET', bare)))?.status, 200, bare)
})

test('A request to upgrade is served as what it is besides.', async (t) => {
  const { server } = await startOctoflow(t)
  for (const upgrade of ['websocket', 'h2c', 'TLS/1.0', 'nonsense']) {
    const headers = {
      connection: 'Upgrade',
      upgrade,
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
    }
    const answer = await exchange(t, server.url, requestHead('GET', '/healthz', headers))
    assert.equal(answer?.status, 200, upgrade)
  }
})

test('CONNECT leads nowhere.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const answer = await exchange(t, server.url, requestHead('CONNECT', 'example.com:443'))
  assert.ok(answer === null || answer.status >= 400)
  assert.equal((await client.get('/healthz')).status, 200)
})

test('An expectation other than 100-continue is 417.', async (t) => {
  const { server } = await startOctoflow(t)
  const answer = await exchange(t, server.url, requestHead('GET', '/healthz', { expect: 'a miracle' }))
  assert.equal(answer?.status, 417)
})

test('One who asks to continue is told to, and to go away when the body would be too large.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const connection = new RawConnection(t, server.url)
  await connection.send(captureHead({ expect: '100-continue', 'content-length': '2' }))
  assert.equal((await connection.answer())?.status, 100)
  await connection.send('{}')
  assert.equal((await connection.answer())?.status, 200)
  assert.equal((await client.get('/request/1')).status, 200)
})

test('A body that is cut off is not recorded.', async (t) => {
  const { client, server } = await startOctoflow(t)
  for (const head of [
    `${captureHead({ 'content-length': '100' })}${JSON_BODY}`,
    `${captureHead({ 'transfer-encoding': 'chunked' })}7\r\n${JSON_BODY}\r\n`,
    `${captureHead({ 'transfer-encoding': 'chunked' })}FF\r\n${JSON_BODY}`,
  ]) {
    const connection = new RawConnection(t, server.url)
    await connection.send(head)
    connection.halfClose()
    const answer = await connection.answer()
    assert.ok(answer === null || answer.status === 400, `${answer?.status}`)
    await connection.ended()
  }
  assert.deepEqual((await client.post('/request', { json: {} })).json, { message: 'Request processed successfully', id: 1 })
})

test('Of a body longer than its Content-Length the rest is not taken for a request.', async (t) => {
  const { client, server } = await startOctoflow(t)
  const connection = new RawConnection(t, server.url)
  await connection.send(`${captureHead({ 'content-length': '2' })}{}${JSON_BODY}`)
  const answers = [await connection.answer(), await connection.answer()].map((answer) => answer?.status)
  assert.ok(answers.includes(400), `${answers}`)
  await connection.ended()
  assert.equal((await client.get('/request/2')).status, 404)
})

test('A request whose length is not certain is 400 and not recorded.', async (t) => {
  const { client, server } = await startOctoflow(t)
  for (const lengths of [
    'Content-Length: 7\r\nContent-Length: 8\r\n',
    'Content-Length: 7\r\nContent-Length: 7\r\n',
    'Content-Length: 7, 8\r\n',
    'Content-Length: 7\r\nTransfer-Encoding: chunked\r\n',
    'Content-Length: -1\r\n',
    'Content-Length: 1e3\r\n',
    'Content-Length: 0x7\r\n',
    'Content-Length: 99999999999999999999\r\n',
    'Content-Length: \r\n',
    'Transfer-Encoding: gzip, chunked, gzip\r\n',
    'Transfer-Encoding: chunked\r\n\r\nXY\r\n',
    'Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n',
  ]) {
    const head = captureHead().replace('\r\n\r\n', `\r\n${lengths}\r\n`)
    const answer = await exchange(t, server.url, `${head}${JSON_BODY}`)
    assert.equal(answer?.status, 400, lengths)
  }
  assert.deepEqual((await client.post('/request', { json: {} })).json, { message: 'Request processed successfully', id: 1 })
})
