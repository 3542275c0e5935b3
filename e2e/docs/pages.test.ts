import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { catalogue } from '../../packages/server/src/errors/catalogue.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { temporaryDirectory } from '../support/owner.ts'

const run = promisify(execFile)

const COMMAND = fileURLToPath(new URL('../../packages/server/bin/octoflow.js', import.meta.url))

test('The type of a problem leads to a page that needs no credential and explains it.', async (t) => {
  const { client, server } = await startOctoflow(t)
  for (const path of ['/api/v1/jobs/12', '/api/v1/nowhere', '/api/v1/jobs?limit=0']) {
    const { type, code } = (await client.get(path)).json as { readonly type: string; readonly code: string }
    const url = new URL(type, server.url)
    assert.equal(url.hash, `#${code}`)
    const page = await fetch(url)
    assert.equal(page.status, 200)
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/)
    assert.ok((await page.text()).includes(`<article id="${code}">`), code)
  }
})

test('The page of errors has all of them and loads nothing from elsewhere.', async (t) => {
  const { server } = await startOctoflow(t)
  const page = await fetch(`${server.url}/docs/errors`)
  const text = await page.text()
  for (const code of Object.keys(catalogue)) assert.equal(text.split(`id="${code}"`).length, 2, code)
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/)
  assert.doesNotMatch(text, /<script|src=|https?:/)
})

test('The documentation page and all that it loads are served beside the page of errors.', async (t) => {
  const { server } = await startOctoflow(t)
  const page = await fetch(`${server.url}/docs/`)
  assert.equal(page.status, 200)
  const loaded = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => new URL(path!, page.url))
  assert.ok(loaded.length >= 3, 'scripts and styles')
  for (const url of loaded) {
    assert.equal(url.origin, server.url)
    const answer = await fetch(url)
    assert.equal(answer.status, 200, url.pathname)
    assert.ok((await answer.bytes()).length > 0, url.pathname)
  }
})

test('`octoflow openapi` prints the document that the server serves, and leaves nothing behind.', async (t) => {
  const { client } = await startOctoflow(t)
  const cwd = temporaryDirectory(t)
  const print = () => run(process.execPath, [COMMAND, 'openapi'], { cwd, env: {}, maxBuffer: 2 ** 24 })
  const printed = await Promise.all([print(), print()])
  const served = (await client.get('/openapi.json', { key: null })).json
  for (const { stdout } of printed) assert.deepEqual(JSON.parse(stdout), served)
  assert.deepEqual(readdirSync(cwd), [])
})
