import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Queue } from '@octoflow/protocol'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { startSite } from './support/server.ts'

test('queues list counts the jobs of each queue by state.', async (t) => {
  const { cli } = await startSite(t)
  assert.equal((await cli.run('queues', 'list')).out, 'There is no queue yet; the first job makes one.\n')
  await cli.run('submit', 'mails')
  await cli.run('submit', 'mails', '--delay', '1h')
  await cli.run('queues', 'pause', 'mails')
  const [titles, row] = (await cli.run('queues', 'list')).out.split('\n')
  assert.match(titles!, /^QUEUE +READY +SCHEDULED +HELD +RUNNING +COMPLETED +CANCELLED +DEAD +WORKERS$/)
  assert.match(row!, /^mails \(paused\) +1 +1 +0 +0 +0 +0 +0 +0$/)
  const { items } = await cli.json<{ items: readonly Queue[] }>('queues', 'list')
  assert.deepEqual(
    items.map(({ name, paused }) => [name, paused]),
    [['mails', true]],
  )
})

test('A table gives up what is least needed where the terminal is narrow.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run('submit', 'a-queue-with-a-rather-long-name')
  for (const columns of [80, 60, 40, 20]) {
    const { out } = await cli.start(['queues', 'list'], { columns }).ended
    for (const line of out.split('\n')) assert.ok(line.length <= columns, `${columns}: ${line}`)
  }
  const { out } = await cli.start(['queues', 'list'], { columns: 40 }).ended
  assert.match(out, /^QUEUE +READY +RUNNING +COMPLET\S+ +DEAD\na-qu\S*… +1 /)
})

test('queues set changes what is named, and none takes it away.', async (t) => {
  const { cli } = await startSite(t)
  const given = '--concurrency 4 --key-concurrency 2 --rate-limit 100/60s --key-rate-limit 1/500ms --max-attempts 5'
  const more = '--backoff 5s,3,1m,0.1 --retention-days 0.5'
  const { code, out } = await cli.run('queues', 'set', 'mails', ...`${given} ${more}`.split(' '))
  assert.equal(code, ExitCode.ok)
  assert.match(
    out,
    /concurrency +4 at once\n.*key concurrency +2 at once.*\n.*rate limit +100 within 1 min\n.* 1 within 500 ms\n/,
  )
  assert.match(
    out,
    /max attempts +5\n.*backoff +5 s, each further 3 times as long, up to 1 min, ± 10 %\n.*retention +0\.5 days\n/,
  )
  const set = await cli.json<Queue>('queues', 'show', 'mails')
  assert.deepEqual(set.backoff, { baseSeconds: 5, factor: 3, maxSeconds: 60, jitter: 0.1 })
  assert.deepEqual(set.keyRateLimit, { limit: 1, periodSeconds: 0.5 })
  const names = ['concurrency', 'key-concurrency', 'rate-limit', 'key-rate-limit', 'max-attempts', 'backoff', 'retention-days']
  const unset = await cli.json<Queue>('queues', 'set', 'mails', ...names.flatMap((name) => [`--${name}`, 'none']))
  const { concurrency, keyConcurrency, rateLimit, keyRateLimit, maxAttempts, backoff, retentionDays } = unset
  assert.deepEqual(
    [concurrency, keyConcurrency, rateLimit, keyRateLimit, maxAttempts, backoff, retentionDays],
    [null, 1, null, null, null, null, null],
  )
})

test('queues set without a setting is a usage error.', async (t) => {
  const { cli } = await startSite(t)
  const { code, err } = await cli.run('queues', 'set', 'mails')
  assert.equal(code, ExitCode.usage)
  assert.match(err, /There is nothing to change/)
})

test('A paused queue is told by why, and resume ends it.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run('submit', 'mails')
  assert.equal((await cli.run('queues', 'pause', 'mails')).out, 'Queue mails is paused while 1 job waits.\n')
  assert.match((await cli.run('jobs', 'why', 'last')).out, /paused/)
  assert.equal((await cli.run('queues', 'resume', 'mails')).out, 'Queue mails is active again.\n')
  assert.equal((await cli.json<Queue>('queues', 'show', 'mails')).paused, false)
})

test('A queue that does not exist gives exit code 3, and pausing a mistyped name makes none.', async (t) => {
  const { cli } = await startSite(t)
  for (const verb of ['show', 'pause', 'resume']) {
    const { code, err } = await cli.run('queues', verb, 'mials')
    assert.equal(code, ExitCode.notFound, verb)
    assert.match(err, /There is no queue "mials"\.\n`octoflow queues list`/)
  }
  assert.deepEqual((await cli.json<{ items: [] }>('queues', 'list')).items, [])
})

test('Names of queues may hold any sign.', async (t) => {
  const { cli } = await startSite(t)
  const name = 'a/b?c#d %é'
  await cli.run('submit', name)
  assert.equal((await cli.json<Queue>('queues', 'show', name)).counts.ready, 1)
  assert.equal((await cli.json<{ items: readonly object[] }>('jobs', 'list', '-q', name)).items.length, 1)
})

test('A name that holds a comma is told from two by repeating the option, also where there is but one.', async (t) => {
  const { cli } = await startSite(t)
  for (const queue of ['a', 'b', 'a,b']) await cli.run('submit', queue)
  const ids = async (...args: readonly string[]): Promise<readonly number[]> =>
    (await cli.json<{ items: readonly { readonly id: number }[] }>('jobs', 'list', ...args)).items.map(({ id }) => id)
  assert.deepEqual(await ids('-q', 'a,b'), [2, 1])
  assert.deepEqual(await ids('-q', 'a,b', '-q', 'b'), [3, 2])
  assert.deepEqual(await ids('-q', 'a,b', '-q', 'a,b'), [3])
  await cli.run('jobs', 'cancel', '1', '2', '3')
  const key = await cli.json<{ queues: readonly string[] }>('keys', 'create', 'k', '--role', 'viewer', '-q', 'a,b', '-q', 'a,b')
  assert.deepEqual(key.queues, ['a,b'])
})
