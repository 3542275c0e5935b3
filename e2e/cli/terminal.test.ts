import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { KEY } from '../support/server-process.ts'
import { until } from '../support/until.ts'
import { Command, octoflow, runOctoflow } from './command.ts'

const ESCAPE = '\u001b'

test('A closed pipe ends every command quietly.', async (t) => {
  const { server } = await startOctoflow(t)
  const env = { OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY, NODE: process.execPath }
  const lines = octoflow(t, ['submit', 'many', '--file', '-'], { env })
  lines.endInput('{}\n'.repeat(3_000))
  await lines.ended
  const bin = new URL('../../packages/server/bin/octoflow.js', import.meta.url).pathname
  for (const args of ['jobs list --all', 'jobs list --all --json', 'openapi', 'config', '--help']) {
    const pipe = `{ "$NODE" '${bin}' ${args}; echo "code $?" >&2; } | head -c 1`
    const { stdout, stderr } = await new Command(t, ['sh', '-c', pipe], { env }).ended
    assert.deepEqual([stdout.length, stderr], [1, 'code 0\n'], args)
  }
})

test('Output that cannot be written is no success.', async (t) => {
  if (!existsSync('/dev/full')) return t.skip('there is no /dev/full; it takes Linux')
  const { server } = await startOctoflow(t)
  const env = { OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY, NODE: process.execPath }
  const bin = new URL('../../packages/server/bin/octoflow.js', import.meta.url).pathname
  for (const args of ['jobs list', 'jobs list --json', 'openapi', 'config', 'keys create k --role viewer']) {
    const { code, stderr } = await new Command(t, ['sh', '-c', `"$NODE" '${bin}' ${args} > /dev/full`], { env }).ended
    assert.equal(code, 1, args)
    assert.match(stderr, /cannot be written/, args)
  }
})

test('jobs tail ends when nobody reads it any more.', async (t) => {
  const { server } = await startOctoflow(t)
  const env = { OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY }
  const tail = octoflow(t, ['jobs', 'tail'], { env })
  await tail.says(/^Following /, 'stderr')
  await runOctoflow(t, ['submit', 'q'], { env })
  await tail.says(/ q\n/)
  tail.closeOutput()
  await runOctoflow(t, ['submit', 'q'], { env })
  assert.equal((await tail.ended).code, 0)
})

test('jobs tail makes a lost connection again.', async (t) => {
  const { server } = await startOctoflow(t)
  const { data, port, url } = server
  const env = { OCTOFLOW_URL: url, OCTOFLOW_KEY: KEY }
  const tail = octoflow(t, ['jobs', 'tail', '--json'], { env })
  await tail.says(/^Following /, 'stderr')
  await server.stop()
  await tail.says(/The connection to the server is lost/, 'stderr')
  await startOctoflow(t, { data, flags: ['--port', String(port)] })
  await tail.says(/Connected again\./, 'stderr')
  await runOctoflow(t, ['submit', 'after'], { env })
  await tail.says(/"queue":"after"/)
  tail.signal('SIGINT')
  assert.equal((await tail.ended).code, 0)
})

test('Ctrl-C gives 130 and SIGTERM 143, whatever a command waits for, and no stack trace.', async (t) => {
  const { server, client } = await startOctoflow(t)
  const env = { OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY }
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const queue = `for-${signal}`
    const waiting = octoflow(t, ['submit', queue, '--wait'], { env })
    await until(
      async () => ((await client.get(`/api/v1/jobs?queue=${queue}`)).json as { items: readonly object[] }).items.length === 1,
      {
        what: 'the job is there',
      },
    )
    waiting.signal(signal)
    const { code: ended, stderr } = await waiting.ended
    assert.equal(ended, code)
    assert.match(stderr, /^Job \d+ goes on in the server; `octoflow jobs show \d+` tells how\.\n$/)
  }
})

test('Colours are for terminals only, unless FORCE_COLOR asks for them.', async (t) => {
  const raw = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const command = octoflow(t, ['config'], { env })
    await command.ended
    return command.raw
  }
  assert.ok(!(await raw({})).includes(ESCAPE))
  assert.ok((await raw({ FORCE_COLOR: '1' })).includes(ESCAPE))
})
