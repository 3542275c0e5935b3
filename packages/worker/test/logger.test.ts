import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SystemClock } from '../src/clock.ts'
import { stderrLogger, withFields } from '../src/logger.ts'

test('The logger writes a line with time, level, message and fields to stderr, from its level on.', (t) => {
  const lines: string[] = []
  t.mock.method(process.stderr, 'write', (line: string) => lines.push(line) > 0)
  const logger = withFields(stderrLogger('info'), { jobId: 7 })
  logger.debug('unseen')
  logger.info('seen', { queue: 'q', note: 'two words', none: undefined })
  logger.warn('odd', { labels: { a: 1 }, error: new Error('no disk') })
  logger.error('bad')
  t.mock.restoreAll()
  assert.deepEqual(
    lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, '')),
    [
      'INFO  seen jobId=7 queue=q note="two words"\n',
      'WARN  odd jobId=7 labels={ a: 1 } error="no disk"\n',
      'ERROR bad jobId=7\n',
    ],
  )
})

test('A timer may be longer than Node’s own, and can be cancelled in each of its parts.', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const longest = 2 ** 31 - 1
  const fired: string[] = []
  const clock = new SystemClock()
  clock.after(longest + 1_000, () => fired.push('kept'))
  const cancel = clock.after(longest + 1_000, () => fired.push('cancelled'))
  t.mock.timers.tick(longest)
  t.mock.timers.tick(999)
  assert.deepEqual(fired, [])
  cancel()
  t.mock.timers.tick(1)
  assert.deepEqual(fired, ['kept'])
})
