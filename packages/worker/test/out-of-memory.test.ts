import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { setUp } from './support/setup.ts'

test('A handler in a thread that uses up its memory fails its job and takes nothing else down.', async (t) => {
  // Threads started from here on have little; this thread keeps what it has.
  setFlagsFromString('--max-old-space-size=64')
  const { server, worker } = setUp(t, {
    process: new URL('./handlers/tasks.ts', import.meta.url),
    isolation: 'thread',
    concurrency: 1,
  })
  const job = server.submit('q', { do: 'exhaust' })
  const next = server.submit('q', { do: 'echo' })
  await worker.start()
  await server.untilState(next, 'completed')
  const { code, message } = job.error as { code: string; message: string }
  assert.equal(code, 'worker_crashed')
  assert.match(message, /^The thread \d+ that ran the handler ran out of memory\.$/)
})
