import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'

const LISTS = ['/api/v1/jobs', '/api/v1/requests', '/api/v1/dead-letters', '/api/v1/operations', '/api/v1/jobs/1/events']

const base64url = (text: string): string => Buffer.from(text).toString('base64url')

test('A limit is a whole number from 1 to 1000.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  for (const path of LISTS) {
    for (const limit of ['1', '1000']) assert.equal((await client.get(`${path}?limit=${limit}`)).status, 200, path)
    for (const limit of ['0', '-1', '1001', '1e9', '1.5', 'abc', '', 'NaN', 'Infinity', 'null', '9'.repeat(400)]) {
      const answer = await client.get(`${path}?limit=${limit}`)
      assert.equal(answer.status, 400, `${path} ${limit}`)
      const { code, errors } = answer.json as { code: string; errors: readonly { path: string }[] }
      assert.equal(code, 'invalid_query')
      assert.deepEqual(
        errors.map((error) => error.path),
        ['limit'],
      )
    }
  }
})

test('A cursor that no list gave is 400.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request?custom_value=App', { json: {} })
  for (const path of LISTS)
    for (const cursor of [
      'x',
      '',
      '0',
      '%00',
      base64url('a.desc.1'),
      base64url('..'),
      base64url('__proto__.desc.1'),
      'ä',
      'x'.repeat(500),
    ]) {
      const answer = await client.get(`${path}?cursor=${encodeURIComponent(cursor)}`)
      assert.equal(answer.status, 400, `${path} ${cursor}`)
      assert.equal((answer.json as { code: string }).code, 'invalid_cursor')
    }
  assert.equal((await client.get(`/api/v1/jobs?cursor=${'x'.repeat(513)}`)).status, 400)
})

test('A cursor taken to another list, filter or order is 400, and so is one that was tampered with.', async (t) => {
  const { client } = await startOctoflow(t)
  for (let n = 0; n < 4; n++) await client.post('/request?custom_value=App', { json: {} })
  const { next } = (await client.get('/api/v1/jobs?queue=App&limit=2')).json as { next: string }
  assert.equal((await client.get(`/api/v1/jobs?queue=App&limit=3&cursor=${next}`)).status, 200)
  const text = Buffer.from(next, 'base64url').toString()
  const tampered = ['', 'x', '-5', '1e99', 'NaN', '1.5', ' ', '9'.repeat(40)].map((position) =>
    base64url(text.replace(/[^.]*$/, position)),
  )
  for (const path of [
    `/api/v1/jobs?cursor=${next}`,
    `/api/v1/jobs?queue=Other&cursor=${next}`,
    `/api/v1/jobs?queue=App&order=asc&cursor=${next}`,
    `/api/v1/requests?queue=App&cursor=${next}`,
    `/api/v1/dead-letters?queue=App&cursor=${next}`,
    ...tampered.map((cursor) => `/api/v1/jobs?queue=App&cursor=${cursor}`),
  ]) {
    const answer = await client.get(path)
    assert.equal(answer.status, 400, path)
    assert.equal((answer.json as { code: string }).code, 'invalid_cursor', path)
  }
})
