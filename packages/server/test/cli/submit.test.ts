import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { JobDetail, Submitted } from '@octoflow/protocol'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { startSite } from './support/server.ts'

test('submit says the number of the job, and with --json prints the answer of the server.', async (t) => {
  const { cli } = await startSite(t)
  assert.deepEqual(await cli.run('submit', 'greet', '{"name":"Ada"}'), {
    code: ExitCode.ok,
    out: 'Job 1 was submitted to greet.\n',
    err: '',
  })
  assert.deepEqual(await cli.json('submit', 'greet'), { id: 2, queue: 'greet', outcome: 'created' })
  const { payload } = await cli.json<JobDetail>('jobs', 'show', '2')
  assert.deepEqual(payload, {}, 'a job without a payload')
})

test('--wait prints the result of the job, or the job itself with --json.', async (t) => {
  const { cli } = await startSite(t, { handlers: true })
  const { code, out } = await cli.run('submit', 'greet', '{"name":"Ada"}', '--wait')
  assert.equal(code, ExitCode.ok)
  assert.match(out, /^completed {2}job 1 in .+\n\{\n {2}"greeting": "Hello, Ada!"\n\}\n$/)
  const job = await cli.json<JobDetail>('submit', 'greet', '{"name":"Bo"}', '--wait')
  assert.deepEqual([job.state, job.result], ['completed', { greeting: 'Hello, Bo!' }])
})

test('--wait gives exit code 1 for a job that did not complete, and says why.', async (t) => {
  const { cli } = await startSite(t, { handlers: true })
  const { code, out, err } = await cli.run('submit', 'import', '{"rows":-1}', '--wait')
  assert.deepEqual([code, out], [ExitCode.failed, ''])
  assert.match(err, /^octoflow: Job 1 is dead: rows must be a whole number\.\n`octoflow jobs show 1`/)
})

test('--wait with a time gives up when it has passed, and says what the job waits for.', async (t) => {
  const { cli } = await startSite(t)
  const { code, err } = await cli.run('submit', 'nobody', '--wait', '50ms')
  assert.equal(code, ExitCode.failed)
  assert.match(err, /Job 1 is still pending after 50 ms\. No worker has asked the queue "nobody"/)
})

test('Ctrl-C ends the waiting, not the job.', async (t) => {
  const { cli } = await startSite(t)
  const running = cli.start(['submit', 'nobody', '--wait'], { columns: 80 })
  await running.err.until(/Job 1 {2}pending/)
  running.signal('SIGINT')
  const { code, err } = await running.ended
  assert.equal(code, ExitCode.interrupted)
  assert.match(err, /Job 1 goes on in the server; `octoflow jobs show 1` tells how\./)
  assert.equal((await cli.json<JobDetail>('jobs', 'show', '1')).state, 'pending')
})

test('The payload comes from the argument, a file or standard input, digit for digit.', async (t) => {
  const { cli } = await startSite(t)
  const text = '{"id":12345678901234567890}'
  writeFileSync(cli.path('order.json'), `\uFEFF${text}\n`)
  await cli.run('submit', 'q', text)
  await cli.run('submit', 'q', '@order.json')
  await cli.start(['submit', 'q', '-'], { stdin: text }).ended
  for (const id of ['1', '2', '3'])
    assert.ok((await cli.run('jobs', 'show', id, '--json')).out.includes(`"payload":${text}`), id)
})

test('A payload that is no JSON or cannot be read is a usage error, and nothing is submitted.', async (t) => {
  const { cli } = await startSite(t)
  for (const [payload, why] of [
    ['{bad', /What stands in the payload is not JSON/],
    ['', /it is empty/],
    ['@none.json', /none\.json cannot be read: there is no such file\./],
    ['@.', /cannot be read: it is a directory\./],
  ] as const) {
    const { code, err } = await cli.run('submit', 'q', payload)
    assert.equal(code, ExitCode.usage, payload)
    assert.match(err, why)
  }
  assert.deepEqual((await cli.json<{ items: [] }>('jobs', 'list')).items, [])
})

test('The settings of a job arrive.', async (t) => {
  const { cli } = await startSite(t)
  const settings =
    '--priority 1 --delay 2h --max-attempts 7 --unique-key u --concurrency-key c --timeout 1m --label a=1 --label b=2=3'
  await cli.run('submit', 'q', ...settings.split(' '))
  const job = await cli.json<JobDetail>('jobs', 'show', 'last')
  assert.deepEqual(
    [job.priority, job.maxAttempts, job.uniqueKey, job.concurrencyKey, job.timeoutSeconds, job.labels],
    [1, 7, 'u', 'c', 60, { a: '1', b: '2=3' }],
  )
  const delay = Date.parse(job.runAt) - Date.parse(job.createdAt)
  assert.ok(Math.abs(delay - 2 * 3_600_000) < 1_000, `${delay} ms`)
  await cli.run('submit', 'q', '--run-at', '2040-01-02T03:04:05Z')
  assert.match((await cli.json<JobDetail>('jobs', 'show', 'last')).runAt, /^2040-01-02T03:04:05/)
})

test('A repetition under the same idempotency key, and a second job with a unique key, make no other job.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run('submit', 'q', '1', '--idempotency-key', 'k')
  assert.equal((await cli.json<Submitted>('submit', 'q', '1', '--idempotency-key', 'k')).id, 1)
  await cli.run('submit', 'q', '--unique-key', 'u')
  const { code, out } = await cli.run('submit', 'q', '--unique-key', 'u')
  assert.deepEqual([code, out], [ExitCode.ok, 'Job 2 holds the unique key u; no other was made.\n'])
})

test('--file submits a job for every line, says which lines do not fit, and fails for them.', async (t) => {
  const { cli } = await startSite(t)
  writeFileSync(cli.path('rows.ndjson'), '{"n":1}\r\n\n{bad\n"three"\n4')
  const { code, out, err } = await cli.run('submit', 'rows', '--file', 'rows.ndjson')
  assert.equal(code, ExitCode.failed)
  assert.equal(out, '3 jobs submitted to rows, 1 line failed.\n')
  assert.match(err, /^line 3: It is not JSON: .+\n$/)
  const { items } = await cli.json<{ items: readonly JobDetail[] }>('jobs', 'list', '-q', 'rows')
  assert.equal(items.length, 3)
})

test('--file takes more lines than one call does, from standard input too, and nothing twice under one key.', async (t) => {
  const { cli } = await startSite(t)
  const stdin = Array.from({ length: 2_500 }, (_, index) => `{"n":${index}}`).join('\n')
  const args = ['submit', 'rows', '--file', '-', '--idempotency-key', 'k', '--json']
  const first = JSON.parse((await cli.start(args, { stdin }).ended).out)
  assert.deepEqual([first.created, first.ids.length, first.failed], [2_500, 2_500, []])
  const again = JSON.parse((await cli.start(args, { stdin }).ended).out)
  assert.deepEqual(again.ids, first.ids)
})

test('Ctrl-C in the midst of many lines says how far it got and how to submit the rest, and nothing twice.', async (t) => {
  const { cli } = await startSite(t)
  const stdin = new PassThrough()
  const running = cli.start(['submit', 'rows', '--file', '-'], { stdin, columns: 100 })
  stdin.write('1\n'.repeat(1_001))
  await running.err.until(/1,000 lines/)
  running.signal('SIGINT')
  const { code, err } = await running.ended
  assert.equal(code, ExitCode.interrupted)
  const [, key] = /Lines 1 to 1000 of - were submitted\. The same command with --idempotency-key (\S+) submits the rest/.exec(
    err,
  )!
  const args = ['submit', 'rows', '--file', '-', '--idempotency-key', key!]
  const { out } = await cli.start(args, { stdin: '1\n'.repeat(1_500) }).ended
  assert.equal(out, '500 jobs submitted to rows, 1,000 lines submitted before.\n')
})

test('A payload and --file cannot go together, and a file must be there.', async (t) => {
  const { cli } = await startSite(t)
  assert.equal((await cli.run('submit', 'q', '1', '--file', 'x')).code, ExitCode.usage)
  const { code, err } = await cli.run('submit', 'q', '--file', 'none')
  assert.equal(code, ExitCode.usage)
  assert.match(err, /none cannot be read: there is no such file\./)
})
