import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { settingsOf } from '../src/options.ts'
import { HttpServer, KEY } from './support/http-server.ts'
import { MemoryServer } from './support/memory-server.ts'

const README = new URL('../README.md', import.meta.url)

test('The example of the README works as it stands.', async (t) => {
  const [, code] = /```ts\n(.*?)```/s.exec(await readFile(README, 'utf8'))!
  const server = new MemoryServer()
  const http = new HttpServer(server)
  await http.start()
  const job = server.submit('greet', { name: 'Ada' })
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', code!], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { ...process.env, OCTOFLOW_URL: http.url, AUTHORIZATION_KEY: KEY },
    stdio: 'ignore',
  })
  t.after(async () => {
    child.kill('SIGKILL')
    await http.stop()
  })
  await server.untilState(job, 'completed')
  assert.deepEqual(job.result, { greeting: 'Hello Ada' })
  assert.equal(job.events[0]?.message, 'greeting Ada')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('The README names every option.', async () => {
  const text = await readFile(README, 'utf8')
  const options = text.slice(text.indexOf('## Options'), text.indexOf('## Stopping'))
  const { server, stopTimeoutMs, queues, ...settings } = settingsOf({ url: 'http://x', queue: 'q', process: () => true })
  const names = [...Object.keys(settings), 'url', 'authorizationKey', 'transport', 'customValue', 'queue', 'queues']
  for (const name of [...names, 'stopTimeoutSeconds']) assert.match(options, new RegExp(`\`${name}\\b`), name)
})
