import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Octoflow, startOctoflow } from '../support/octoflow.ts'
import { oddBodies } from '../support/odd-bodies.ts'
import { fill, type RouteWithBody } from '../support/openapi.ts'
import type { Owner } from '../support/owner.ts'
import { ERROR_LEVEL } from '../support/server-process.ts'
import { snapshot } from './snapshot.ts'

interface Refusal {
  readonly code: string
  readonly errors?: readonly { readonly path: string; readonly message: string }[]
}

const PARAMETERS = { id: '1', queue: 'emails' }

/** Takes any body, so that there is no wrong one. */
const ANY_BODY = '/request'

/** A server with a job, and all its routes that want a body of a certain shape. */
async function startWithRoutes(owner: Owner): Promise<Octoflow & { readonly routes: readonly RouteWithBody[] }> {
  const octoflow = await startOctoflow(owner)
  await octoflow.client.post('/request?custom_value=App', { json: {} })
  const { routesWithBody } = await octoflow.client.openApi()
  return { ...octoflow, routes: routesWithBody.filter(({ path }) => path !== ANY_BODY) }
}

/** Whether what is told of a place tells of `path`: of the place itself, of one within it, or of the one that holds it. */
const tellsOf = (told: string, path: string): boolean =>
  told === path || path === '' || told.startsWith(`${path}.`) || told.startsWith(`${path}[`) || path.startsWith(`${told}.`)

test('A body that does not fit the schema of its route is 400, names what does not fit, and changes nothing.', async (t) => {
  const { client, routes } = await startWithRoutes(t)
  const openApi = await client.openApi()
  const before = await snapshot(client)
  let tried = 0
  for (const { method, path, schema } of routes)
    for (const odd of oddBodies(schema)) {
      if (openApi.fits(schema, odd.body) || isBatch(path, odd.body)) continue
      tried++
      const answer = await client.call(method, fill(path, PARAMETERS), { json: odd.body })
      const what = `${method} ${path} ${odd.path} ${JSON.stringify(odd.body).slice(0, 200)}: ${answer.text}`
      assert.equal(answer.status, 400, what)
      if (!path.startsWith('/api/v1/')) continue
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
      const { code, errors = [] } = answer.json as Refusal
      assert.equal(code, 'invalid_body', what)
      assert.ok(
        errors.some((error) => tellsOf(error.path, odd.path)),
        what,
      )
      assert.ok(errors.every(({ message }) => message !== ''))
    }
  assert.ok(tried > 1_000, `${tried} were tried`)
  assert.deepEqual(await snapshot(client), before)
})

/** In a batch of jobs or log events, each is judged by itself. */
function isBatch(path: string, body: unknown): boolean {
  if (path.startsWith('/v1/events')) return Array.isArray(body) && body.length > 0 && body.length <= 1000
  if (path !== '/api/v1/jobs' || typeof body !== 'object' || body === null || Object.keys(body).join() !== 'jobs') return false
  const { jobs } = body as { jobs: unknown }
  return Array.isArray(jobs) && jobs.length > 0 && jobs.length <= 1000
}

test('In a batch of jobs, one that does not fit is refused by itself, and the others are taken.', async (t) => {
  const { client, routes } = await startWithRoutes(t)
  const openApi = await client.openApi()
  const { schema } = routes.find(({ method, path }) => method === 'POST' && path === '/api/v1/jobs')!
  const odd = [...oddBodies(schema)].filter(({ body }) => isBatch('/api/v1/jobs', body) && !openApi.fits(schema, body))
  assert.ok(odd.length > 100)
  for (const { path, body } of odd) {
    const [wrong] = (body as { jobs: readonly unknown[] }).jobs
    const answer = await client.post('/api/v1/jobs', { json: { jobs: [{ queue: 'q' }, wrong, { queue: 'q' }] } })
    assert.equal(answer.status, 201, answer.text)
    const { jobs } = answer.json as { jobs: readonly { readonly ok: boolean; readonly code?: string }[] }
    assert.deepEqual(
      jobs.map(({ ok, code }) => [ok, code]),
      [
        [true, undefined],
        [false, 'invalid_body'],
        [true, undefined],
      ],
      path,
    )
  }
})

test('A body that fits the schema of its route, however odd, is never more than the server can bear.', async (t) => {
  const { client, server, routes } = await startWithRoutes(t)
  server.mayLogErrors = true
  const openApi = await client.openApi()
  let tried = 0
  for (const { method, path, schema } of routes)
    for (const odd of oddBodies(schema)) {
      if (!openApi.fits(schema, odd.body)) continue
      tried++
      const answer = await client.call(method, fill(path, PARAMETERS), { json: odd.body })
      const what = `${method} ${path} ${odd.path} ${JSON.stringify(odd.body).slice(0, 200)}: ${answer.text.slice(0, 500)}`
      assert.ok(answer.status < 500, what)
    }
  assert.ok(tried > 300, `${tried} were tried`)
  await snapshot(client)
  const messages = server.log.filter(({ level }) => level >= ERROR_LEVEL).map(({ msg }) => msg)
  assert.deepEqual([...new Set(messages)], ['the handler of a queue cannot be used'], 'which is what the body named')
})
