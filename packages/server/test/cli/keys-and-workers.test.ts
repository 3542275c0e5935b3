import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiKey, CreatedKey, Worker } from '@octoflow/protocol'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { startSite } from './support/server.ts'

test('keys create prints the key alone to standard output; it works within its role and queues.', async (t) => {
  const { cli } = await startSite(t)
  const { code, out, err } = await cli.run('keys', 'create', 'shop', '--role', 'producer', '-q', 'orders')
  assert.equal(code, ExitCode.ok)
  assert.match(out, /^octo_\S+\n$/)
  assert.match(err, /^Key \S+ \(shop\), role producer, for orders\. It is shown this once/)
  const key = out.trim()
  assert.equal((await cli.run('submit', 'orders', '--key', key)).code, ExitCode.ok)
  assert.equal((await cli.run('submit', 'mails', '--key', key)).code, ExitCode.denied)
})

test('keys list shows every key but not its text; rotate and delete make the old one void.', async (t) => {
  const { cli } = await startSite(t)
  assert.match((await cli.run('keys', 'list')).out, /^There is no API key/)
  const made = await cli.json<CreatedKey>('keys', 'create', 'ci', '-r', 'viewer', '--expires', '2040-01-01T00:00:00Z')
  const { out } = await cli.run('keys', 'list')
  assert.match(out, new RegExp(`\n${made.id} +ci +viewer +all +2040-01-01 00:00:00Z +never `))
  assert.ok(!out.includes(made.key))
  const code = async (key: string): Promise<number> => (await cli.run('jobs', 'list', '--key', key)).code
  const rotated = await cli.json<CreatedKey>('keys', 'rotate', made.id)
  assert.deepEqual([await code(made.key), await code(rotated.key)], [ExitCode.denied, ExitCode.ok])
  assert.equal((await cli.run('keys', 'delete', made.id)).out, `Key ${made.id} is deleted.\n`)
  assert.equal(await code(rotated.key), ExitCode.denied)
  assert.deepEqual((await cli.json<{ items: readonly ApiKey[] }>('keys', 'list')).items, [])
  for (const verb of ['rotate', 'delete']) assert.equal((await cli.run('keys', verb, made.id)).code, ExitCode.notFound)
})

test('workers list shows who works for which queues, and drain and resume steer them.', async (t) => {
  const { cli } = await startSite(t, { handlers: true })
  await cli.run('submit', 'greet', '--wait')
  const { items } = await cli.json<{ items: readonly Worker[] }>('workers', 'list')
  const { id } = items.find(({ queues }) => queues.includes('greet'))!
  assert.match((await cli.run('workers', 'list')).out, new RegExp(`\n${id} +working +greet +.* ago +octoflow-handlers`))
  assert.equal((await cli.run('workers', 'drain', id)).out, `Worker ${id} takes no more jobs.\n`)
  assert.match((await cli.run('workers', 'list')).out, new RegExp(`\n${id} +draining `))
  assert.deepEqual(await cli.json('workers', 'resume', id), { id, draining: false })
  const { code, err } = await cli.run('workers', 'drain', 'nobody')
  assert.equal(code, ExitCode.notFound)
  assert.match(err, /No worker "nobody" has been seen\.\n`octoflow workers list`/)
})

test('Where no worker was heard of, workers list says so.', async (t) => {
  const { cli } = await startSite(t)
  assert.equal((await cli.run('workers', 'list')).out, 'No worker was heard of lately.\n')
})
