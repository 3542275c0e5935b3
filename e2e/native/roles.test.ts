import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey } from '../support/keys.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { expectProblem } from './native.ts'

const ROLES = ['viewer', 'producer', 'worker', 'operator', 'admin'] as const
type Role = (typeof ROLES)[number]

/** The least role that each call needs. What they name does not exist, so that none of them changes anything. */
const NEEDED: Readonly<Record<Role, readonly (readonly [string, string, unknown?])[]>> = {
  viewer: [
    ['GET', '/jobs'],
    ['GET', '/jobs/9'],
    ['GET', '/jobs/9/timeline'],
    ['GET', '/jobs/9/waiting'],
    ['GET', '/jobs/9/events'],
    ['GET', '/queues'],
    ['GET', '/queues/q'],
    ['GET', '/workers'],
    ['GET', '/requests'],
    ['GET', '/requests/9'],
    ['GET', '/dead-letters'],
    ['GET', '/dead-letters/9'],
    ['GET', '/operations'],
    ['GET', '/operations/9'],
    ['GET', '/stats'],
    ['GET', '/attention'],
    ['GET', '/stream'],
    ['GET', '/me'],
  ],
  producer: [['POST', '/jobs', {}]],
  worker: [
    ['POST', '/queues/q/claim', {}],
    ['POST', '/jobs/heartbeat', {}],
    ['POST', '/jobs/report', {}],
    ['POST', '/jobs/9/events', { message: 'x' }],
  ],
  operator: [
    ['POST', '/jobs/9/cancel'],
    ['POST', '/jobs/9/retry'],
    ['PATCH', '/jobs/9', { priority: 1 }],
    ['DELETE', '/jobs/9'],
    ['PATCH', '/queues/q', {}],
    ['POST', '/workers/w/drain'],
    ['POST', '/workers/w/resume'],
    ['POST', '/dead-letters/9/replay'],
    ['POST', '/operations', {}],
    ['DELETE', '/operations/9'],
  ],
  admin: [
    ['GET', '/keys'],
    ['POST', '/keys', {}],
    ['POST', '/keys/k/rotate'],
    ['DELETE', '/keys/k'],
  ],
}

const CALLS = ROLES.flatMap((needed) => NEEDED[needed].map(([method, path, json]) => ({ needed, method, path, json })))

test('The calls below are all that the native API serves.', async (t) => {
  const { client } = await startOctoflow(t)
  const openApi = await client.openApi()
  const called = CALLS.map(({ method, path }) => `${method} ${openApi.template(`/api/v1${path}`)}`)
  const documented = openApi.routes.filter(({ path }) => path.startsWith('/api/v1/'))
  assert.deepEqual(called.sort(), documented.map(({ method, path }) => `${method} ${path}`).sort())
  for (const { needed, method, path } of CALLS)
    assert.ok(
      openApi.find(method, `/api/v1${path}`)!.description!.endsWith(`Needs the role \`${needed}\`.`),
      `${method} ${path} says that it needs ${needed}`,
    )
})

for (const role of ROLES)
  test(`The role ${role} may make its own calls and those of the roles before it, and no others.`, async (t) => {
    const { client, server } = await startOctoflow(t)
    const key = await createKey(client, { role })
    for (const { needed, method, path, json } of CALLS) {
      const allowed = ROLES.indexOf(role) >= ROLES.indexOf(needed)
      if (path === '/stream' && allowed) {
        const control = new AbortController()
        const headers = { authorization: `Bearer ${key}` }
        assert.equal((await fetch(`${server.url}/api/v1/stream`, { headers, signal: control.signal })).status, 200)
        control.abort()
        continue
      }
      const answer = await client.call(method, `/api/v1${path}`, { key, ...(json !== undefined && { json }) })
      if (allowed) assert.ok([200, 400, 404].includes(answer.status), `${method} ${path}: ${answer.text}`)
      else {
        const { detail, hint } = expectProblem(answer, 403, 'forbidden')
        assert.equal(detail, `The credential has the role ${role}; this needs ${needed}.`)
        assert.match(hint, new RegExp(`--role ${needed}`))
      }
    }
  })

test('Without a credential no call is served, whatever it would find.', async (t) => {
  const { client } = await startOctoflow(t)
  for (const { method, path, json } of CALLS.slice(0, 25)) {
    const answer = await client.call(method, `/api/v1${path}`, { key: null, ...(json !== undefined && { json }) })
    expectProblem(answer, 401, 'unauthorized')
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
  }
})

test('After 30 invalid credentials within a minute their address is told to wait; valid ones are served all the same.', async (t) => {
  const { client } = await startOctoflow(t)
  for (let n = 0; n < 30; n++) expectProblem(await client.get('/api/v1/me', { key: `wrong-${n}` }), 401, 'unauthorized')
  const answer = await client.get('/api/v1/me', { key: 'wrong' })
  expectProblem(answer, 429, 'too_many_failures')
  const wait = Number(answer.headers.get('retry-after'))
  assert.ok(wait > 0 && wait <= 60, String(wait))
  assert.equal((await client.get('/api/v1/me')).status, 200)
})
