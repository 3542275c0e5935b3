import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { Directory } from './directory.ts'
import { Lock } from './lock.ts'

test('A lock is one process’s at a time, and free when that is killed.', async () => {
  await using directory = await Directory.make()
  const path = join(directory.path, 'lock')
  const take = `const { Lock } = await import(${JSON.stringify(new URL('./lock.ts', import.meta.url).href)})
    globalThis.lock = await Lock.take(${JSON.stringify(path)})
    console.log('taken')
    setInterval(() => undefined, 1_000)`
  const other = spawn(process.execPath, ['--input-type=module', '--eval', take], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(other.stdout, 'data')
  let taken = false
  const own = Lock.take(path).then((lock) => {
    taken = true
    return lock
  })
  await new Promise(setImmediate)
  assert.equal(taken, false)
  other.kill('SIGKILL')
  ;(await own)[Symbol.dispose]()
})
