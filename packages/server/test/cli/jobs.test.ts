import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job, JobDetail, JobEvent, StreamJob, Waiting } from '@octoflow/protocol'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { startSite } from './support/server.ts'

interface List<Item> {
  readonly items: readonly Item[]
  readonly next: string | null
}

test('jobs list is a table of the newest, and with --json what the server answers.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run('submit', 'mails', '--label', 'customer=42')
  await cli.run('submit', 'images')
  const { code, out } = await cli.run('jobs', 'list')
  assert.equal(code, ExitCode.ok)
  const [titles, first, second, ...rest] = out.split('\n')
  assert.match(titles!, /^ID +QUEUE +STATE +ATTEMPT +CREATED +FINISHED +NOTE$/)
  assert.match(first!, /^ 2 +images +pending +0 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/)
  assert.match(second!, /^ 1 +mails +pending .* customer=42$/)
  assert.deepEqual(rest, [''])
  const { items, next } = await cli.json<List<Job>>('jobs', 'list')
  assert.deepEqual([items.map(({ id }) => id), next], [[2, 1], null])
})

test('jobs list filters, limits and orders.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run('submit', 'a', '{"name":"Ada"}', '--label', 'x=1')
  await cli.run('submit', 'b', '{"name":"Bo"}')
  await cli.run('submit', 'c')
  await cli.run('jobs', 'cancel', '3')
  const ids = async (...args: readonly string[]): Promise<readonly number[]> =>
    (await cli.json<List<Job>>('jobs', 'list', ...args)).items.map(({ id }) => id)
  assert.deepEqual(await ids('-q', 'a,b'), [2, 1])
  assert.deepEqual(await ids('-q', 'a', '-q', 'c'), [3, 1])
  assert.deepEqual(await ids('--state', 'cancelled,dead'), [3])
  assert.deepEqual(await ids('--label', 'x=1'), [1])
  assert.deepEqual(await ids('--text', 'Ada'), [1])
  assert.deepEqual(await ids('--since', '1h'), [3, 2, 1])
  assert.deepEqual(await ids('--until', '1h'), [])
  assert.deepEqual(await ids('--order', 'asc', '-n', '2'), [1, 2])
  assert.equal((await cli.run('jobs', 'list', '-q', 'none')).out, 'No job matches.\n')
})

test('--all reads every page into one document or table, and a limit says on a terminal that there are more.', async (t) => {
  const { cli } = await startSite(t)
  const stdin = '1\n'.repeat(1_050)
  await cli.start(['submit', 'q', '--file', '-'], { stdin }).ended
  const { items, next } = await cli.json<List<Job>>('jobs', 'list', '--all')
  assert.deepEqual([items.length, new Set(items.map(({ id }) => id)).size, next], [1_050, 1_050, null])
  assert.equal((await cli.run('jobs', 'list', '--all')).out.trimEnd().split('\n').length, 1_051)
  const { items: some, next: more } = await cli.json<List<Job>>('jobs', 'list')
  assert.ok(some.length === 50 && more !== null)
  const { err } = await cli.start(['jobs', 'list'], { columns: 80 }).ended
  assert.match(err, /There are more/)
})

test('jobs show tells state, payload, result and the timeline of a job.', async (t) => {
  const { cli } = await startSite(t, { handlers: true })
  await cli.run('submit', 'greet', '{"name":"Ada"}', '--wait')
  const { out } = await cli.run('jobs', 'show', 'last')
  assert.match(out, /^Job 1 {2}completed\n {2}queue {6}greet\n/)
  assert.match(out, /\nPayload\n {2}\{\n {4}"name": "Ada"\n/)
  assert.match(out, /\nResult\n {2}\{\n {4}"greeting": "Hello, Ada!"\n/)
  assert.match(out, /\nTimeline\n.*\+0 ms {2}POST \/api\/v1\/jobs.*Attempt 1 started.*Greeting Ada.*Job completed\n$/s)
  const job = await cli.json<JobDetail & { timeline: readonly object[]; waiting: readonly string[] }>('jobs', 'show', '1')
  assert.deepEqual([job.state, job.waiting], ['completed', []])
  assert.ok(job.timeline.length >= 4)
})

test('jobs show and jobs why say what a pending job waits for.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run('submit', 'nobody')
  const reason = 'No worker has asked the queue "nobody" for jobs in the last 2 minutes.'
  assert.ok((await cli.run('jobs', 'show', '1')).out.endsWith(`\nWhy it waits\n  ${reason}\n`))
  assert.equal((await cli.run('jobs', 'why', 'last')).out, `Job 1 is pending:\n  ${reason}\n`)
  const { waiting, reasons } = await cli.json<Waiting>('jobs', 'why', '1')
  assert.deepEqual([waiting, reasons.map(({ message }) => message)], [true, [reason]])
  await cli.run('jobs', 'cancel', '1')
  assert.equal((await cli.run('jobs', 'why', '1')).out, 'Job 1 does not wait: it is cancelled.\n')
})

test('jobs events lists what the handler said.', async (t) => {
  const { cli } = await startSite(t, { handlers: true })
  await cli.run('submit', 'import', '{"rows":1}', '--wait')
  assert.match(
    (await cli.run('jobs', 'events', '1')).out,
    /event +info +Importing 1 rows +\{"attempt":1\}\n.*log +debug +row 1\n/,
  )
  const { items } = await cli.json<List<JobEvent>>('jobs', 'events', 'last', '-n', '1')
  assert.deepEqual(
    items.map(({ message }) => message),
    ['Importing 1 rows'],
  )
})

test('A job that does not exist gives exit code 3, and so does last where there is none.', async (t) => {
  const { cli } = await startSite(t)
  for (const verb of ['show', 'why', 'events', 'cancel', 'retry', 'delete']) {
    const { code, err } = await cli.run('jobs', verb, '7')
    assert.equal(code, ExitCode.notFound, verb)
    assert.match(err, /^octoflow: There is no job 7\.\n/)
  }
  const { code, err } = await cli.run('jobs', 'show', 'last')
  assert.equal(code, ExitCode.notFound)
  assert.match(err, /There is no job yet\.\nSubmit one: octoflow submit/)
})

test('What can be done to some of several jobs is done; the others are told, and the first decides the exit code.', async (t) => {
  const { cli } = await startSite(t, { handlers: true })
  await cli.run('submit', 'greet', '--wait')
  await cli.run('submit', 'nobody')
  const { code, out, err } = await cli.run('jobs', 'cancel', '1', '2', '99', '--reason', 'by mistake')
  assert.equal(code, ExitCode.conflict)
  assert.equal(out, 'Job 2 is cancelled.\n')
  assert.match(err, /^octoflow: Job 1 is completed already\.\n.*`octoflow jobs retry`.*\noctoflow: There is no job 99\.\n/)
  assert.equal((await cli.json<JobDetail>('jobs', 'show', '2')).reason, 'by mistake')
})

test('jobs edit changes a pending job, retry runs a finished one again, and delete removes it.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run('submit', 'nobody', '{"a":1}', '--label', 'x=1')
  assert.equal((await cli.run('jobs', 'edit', '1')).code, ExitCode.usage)
  const edited = await cli.json<List<Job>>('jobs', 'edit', '1', '--priority', '0', '--label', 'y=2')
  assert.deepEqual(
    edited.items.map(({ priority, labels }) => [priority, labels]),
    [[0, { y: '2' }]],
  )
  await cli.run('jobs', 'edit', '1', '--no-labels')
  await cli.run('jobs', 'cancel', '1')
  assert.equal((await cli.run('jobs', 'retry', '1', '--payload', '{"a":2}')).out, 'Job 1 is pending again in nobody.\n')
  const { payload, labels, state } = await cli.json<JobDetail>('jobs', 'show', '1')
  assert.deepEqual([payload, labels, state], [{ a: 2 }, {}, 'pending'])
  assert.deepEqual(await cli.json('jobs', 'delete', '1'), { items: [{ id: 1, deleted: true }], failed: [] })
  assert.equal((await cli.run('jobs', 'show', '1')).code, ExitCode.notFound)
})

test('jobs tail prints each change as it happens, of the queues asked for, until Ctrl-C.', async (t) => {
  const { cli } = await startSite(t)
  const text = cli.start(['jobs', 'tail', '-q', 'mine,yours'])
  const json = cli.start(['jobs', 'tail', '-q', 'mine', '--json'])
  for (const running of [text, json]) await running.err.until(/^Following http:.+ Ctrl-C ends it\.\n/)
  await cli.run('submit', 'other')
  await cli.run('submit', 'mine')
  await cli.run('submit', 'yours')
  await text.out.until(/ 3 {2}pending {4}yours\n/)
  await json.out.until(/\n/)
  for (const running of [text, json]) running.signal('SIGINT')
  const [{ code, out }, lines] = await Promise.all([text.ended, json.ended])
  assert.equal(code, ExitCode.ok, 'Ctrl-C is how it is meant to end')
  assert.match(out, /^\d\d:\d\d:\d\d\.\d{3} +2 {2}pending {4}mine\n[^\n]* 3 {2}pending {4}yours\n$/)
  const { id, queue, state } = JSON.parse(lines.out) as StreamJob
  assert.deepEqual([id, queue, state], [2, 'mine', 'pending'])
})

test('Control characters of others never reach the terminal.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run(
    'submit',
    'q',
    '{"name":"\\u001b[2J\\u009b2J"}',
    '--label',
    'x=\u001b[31mred',
    '--concurrency-key',
    '\u001b]0;t\u0007',
  )
  for (const args of [
    ['jobs', 'list'],
    ['jobs', 'show', '1'],
    ['jobs', 'show', '1', '--json'],
  ]) {
    const running = cli.start(args)
    await running.ended
    const controls = running.out.raw.replaceAll('\n', '').match(/\p{Control}/gu)
    assert.equal(controls, null, args.join(' '))
  }
})
