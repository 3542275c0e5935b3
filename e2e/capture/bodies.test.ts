import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { take } from './capturing.ts'

/** Captures a body and gives back the JSON text that is recorded of it, as its worker gets it. */
async function recorded(client: Client, body: string | Uint8Array, type?: string): Promise<string> {
  const answer = await client.post('/request?custom_value=App', { body, ...(type !== undefined && { type }) })
  assert.equal(answer.status, 200, answer.text)
  const { id } = answer.json as { id: number }
  const { job_id, request_raw } = await take(client, 'App')
  assert.equal(job_id, id)
  const shown = await client.get(`/request/${id}`)
  assert.ok(shown.text.includes(`"request_raw":${request_raw}`), 'GET shows the same text, as a JSON value')
  return request_raw
}

const parsed = async (client: Client, body: string | Uint8Array, type?: string): Promise<unknown> =>
  JSON.parse(await recorded(client, body, type))

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

test('JSON is stored byte for byte.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const json of [
    '{"big":12345678901234567890123456789,"tiny":1e-400,"huge":1E+999,"exact":0.10000000000000000000000001,"minus":-0}',
    '{"twice":1,"twice":2}',
    '{"escaped":"\\u00e4\\ud83d\\udc19\\/\\u0000","half":"\\ud800","plain":"ä🐙/"}',
    ' \t\r\n{ "spaces" :\t[ 1 ,\n2 ] }\n ',
    '{"__proto__":{"a":1},"constructor":{"prototype":1},"":0}',
    '{"quotes":"\\"}]{[\\\\"}',
    '[1,"two",null,true,{}]',
    '"text"',
    '12345678901234567890',
    'true',
    'null',
    '[]',
    '{}',
  ])
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'application/cloudevents+json',
      'APPLICATION/JSON',
    ])
      assert.equal(await recorded(client, json, type), json)
})

test('Arrays nested 200,000 levels deep are stored byte for byte.', async (t) => {
  const { client } = await startOctoflow(t)
  const deep = '['.repeat(200_000) + ']'.repeat(200_000)
  assert.ok((await recorded(client, deep, 'application/json')) === deep)
})

test('A body of exactly the limit of 1 MiB is stored whole.', async (t) => {
  const { client } = await startOctoflow(t)
  const body = `"${'x'.repeat(2 ** 20 - 2)}"`
  assert.ok((await recorded(client, body, 'application/json')) === body)
})

test('A form is stored as an object; a field that came several times is a list.', async (t) => {
  const { client } = await startOctoflow(t)
  const form = 'name=Ada+L%C3%B6w&empty=&flag&many=1&many=2&many=3&a%5Bb%5D=c&__proto__=x'
  assert.equal(
    await recorded(client, form, 'application/x-www-form-urlencoded'),
    '{"name":"Ada Löw","empty":"","flag":"","many":["1","2","3"],"a[b]":"c","__proto__":"x"}',
  )
})

test('A multipart form is stored as an object, its files with name, content type and bytes.', async (t) => {
  const { client } = await startOctoflow(t)
  const bytes = Uint8Array.from({ length: 256 }, (_, n) => n)
  const form = new FormData()
  form.append('title', 'Ünïcode 🐙')
  form.append('tag', 'a')
  form.append('tag', 'b')
  form.append('scan', new File([bytes], 'scän 1.png', { type: 'image/png' }))
  form.append('nothing', new File([], 'empty.txt', { type: 'text/plain' }))
  const encoded = new Response(form)
  const type = encoded.headers.get('content-type')!
  assert.deepEqual(await parsed(client, new Uint8Array(await encoded.arrayBuffer()), type), {
    title: 'Ünïcode 🐙',
    tag: ['a', 'b'],
    scan: { filename: 'scän 1.png', content_type: 'image/png', base64: base64(bytes) },
    nothing: { filename: 'empty.txt', content_type: 'text/plain', base64: '' },
  })
})

test('Text is stored as a string, read in the character set that its content type names.', async (t) => {
  const { client } = await startOctoflow(t)
  const latin1 = Buffer.from('Größe: 5 µm', 'latin1')
  for (const [type, body, expected] of [
    ['text/plain', 'Größe 漢字 🐙\r\n"quoted"\u0000', 'Größe 漢字 🐙\r\n"quoted"\u0000'],
    ['text/plain; charset=iso-8859-1', latin1, 'Größe: 5 µm'],
    ['text/plain;charset="ISO-8859-1"', latin1, 'Größe: 5 µm'],
    ['text/csv; charset=windows-1252', Buffer.from([0x80, 0x3b, 0x31]), '€;1'],
    ['text/plain; charset=utf-16le', Buffer.from('weit 🐙', 'utf16le'), 'weit 🐙'],
    ['text/plain; charset=shift_jis', Buffer.from([0x8a, 0xbf, 0x8e, 0x9a]), '漢字'],
    ['text/html', '<p>a &amp; b</p>', '<p>a &amp; b</p>'],
    ['application/xml', '<?xml version="1.0"?><a b="c">ä</a>', '<?xml version="1.0"?><a b="c">ä</a>'],
    ['application/soap+xml; charset=utf-8', '<e/>', '<e/>'],
    ['application/x-ndjson', '{"a":1}\n{"a":2}\n', '{"a":1}\n{"a":2}\n'],
  ] as const)
    assert.equal(await parsed(client, body, type), expected, type)
})

test('Anything else is stored as base64 with its content type.', async (t) => {
  const { client } = await startOctoflow(t)
  const bytes = Uint8Array.from({ length: 256 }, (_, n) => 255 - n)
  for (const type of ['application/octet-stream', 'image/png', 'application/pdf', 'application/x-protobuf; proto=a.B', 'x/y'])
    assert.deepEqual(await parsed(client, bytes, type), { content_type: type, base64: base64(bytes) })
})

test('Text that is none in the character set it claims loses nothing: it is stored as base64.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const [type, body] of [
    ['text/plain', Buffer.from([0x66, 0xff, 0xfe])],
    ['text/plain; charset=utf-8', Buffer.from([0xc3])],
    ['text/plain; charset=no-such-charset', Buffer.from('text')],
    ['text/plain; charset=utf-16le', Buffer.from([0x00, 0xd8, 0x41, 0x00])],
  ] as const)
    assert.deepEqual(await parsed(client, body, type), { content_type: type, base64: base64(body) }, type)
})

test('A body without a content type is JSON if it parses as such, else text, else bytes.', async (t) => {
  const { client } = await startOctoflow(t)
  assert.equal(await recorded(client, '{"a": 12345678901234567890}'), '{"a": 12345678901234567890}')
  assert.equal(await parsed(client, 'Größe {'), 'Größe {')
  const bytes = Buffer.from([0, 1, 0xff])
  assert.deepEqual(await parsed(client, bytes), { content_type: 'application/octet-stream', base64: base64(bytes) })
})

test('A body whose content type is malformed is stored like one of an unknown type.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const type of ['json', 'application/', '/', 'text plain'])
    assert.deepEqual(await parsed(client, 'a=1', type), { content_type: type, base64: base64(Buffer.from('a=1')) }, type)
})

test('An empty body is recorded as {}, whatever its content type.', async (t) => {
  const { client } = await startOctoflow(t)
  assert.equal(await recorded(client, ''), '{}')
  for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'image/png'])
    assert.equal(await recorded(client, '', type), '{}')
})
