import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'

test('A storm of wrong keys is told to wait, while right keys are served as ever.', async (t) => {
  const { client } = await startOctoflow(t)
  const right = await createKey(client, { role: 'viewer' })
  const paths = ['/api/v1/me', '/jobs/next-pending?custom_value=App']
  const storm = await Promise.all(
    Array.from({ length: 400 }, async (_, n) => {
      const answer = await client.get(paths[n % 2]!, { key: `wrong-key-${n}` })
      if (n % 10 === 0) assert.equal((await client.get('/api/v1/me', { key: right })).status, 200)
      return answer
    }),
  )
  const statuses = storm.map(({ status }) => status)
  assert.ok(statuses.every((status) => status === 401 || status === 429))
  const refused = statuses.filter((status) => status === 401).length
  assert.ok(refused >= 10 && refused <= 100, `${refused} were looked at before the others were told to wait`)

  for (const path of paths)
    for (const key of ['wrong-key', null]) {
      const answer = await client.get(path, { key })
      assert.equal(answer.status, 429)
      const seconds = Number(answer.headers.get('retry-after'))
      assert.ok(seconds >= 1 && seconds <= 60, `Retry-After is ${answer.headers.get('retry-after')}`)
    }
  assert.equal((await client.get('/api/v1/me', { key: right })).status, 200)
  assert.equal((await client.get('/api/v1/me')).status, 200)
  assert.equal((await client.get('/healthz', { key: null })).status, 200)
})
