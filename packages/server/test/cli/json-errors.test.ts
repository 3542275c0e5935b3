import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { CommandLine, type Said } from './support/command-line.ts'
import { startSite } from './support/server.ts'

interface Failure {
  readonly code: string
  readonly message: string
  readonly hint: string
}

/** The one document that a failed command leaves on standard error. */
function errorIn({ err }: Said): Failure {
  const { error, ...rest } = JSON.parse(err) as { readonly error: Failure }
  assert.deepEqual([Object.keys(error), rest], [['code', 'message', 'hint'], {}])
  for (const text of Object.values(error)) assert.ok(text.length > 0, err)
  return error
}

async function listening(t: TestContext, server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const OF_A_SERVER = [
  'submit q',
  'submit q --wait',
  ...['list', 'show 1', 'show last', 'why 1', 'events 1', 'tail'].map((words) => `jobs ${words}`),
  ...['list', 'show q', 'pause q', 'resume q', 'set q --concurrency 1'].map((words) => `queues ${words}`),
  ...['list', 'show 1', 'replay --all'].map((words) => `dead ${words}`),
  ...['list', 'show 1', 'abort 1'].map((words) => `operations ${words}`),
  ...['list', 'drain w', 'resume w'].map((words) => `workers ${words}`),
  ...['list', 'create k --role viewer', 'rotate k', 'delete k'].map((words) => `keys ${words}`),
  'demo --url http://127.0.0.1:2',
]

test('Every command that finds no server says so in one document on standard error, and nothing on standard output.', async (t) => {
  const cli = new CommandLine(t, { OCTOFLOW_URL: 'http://127.0.0.1:2', OCTOFLOW_KEY: 'k' })
  for (const line of OF_A_SERVER) {
    const said = await cli.run(...line.split(' '), '--json')
    assert.deepEqual([said.code, said.out], [ExitCode.unreachable, ''], line)
    const { code, message } = errorIn(said)
    assert.equal(code, 'unreachable', line)
    assert.match(message, /^No server answers at http:\/\/127\.0\.0\.1:2 /)
  }
})

test('The code is the server’s where the server refused, and else says what the exit code does.', async (t) => {
  const { cli } = await startSite(t)
  for (const [line, exitCode, code] of [
    ['jobs show 7', ExitCode.notFound, 'job_not_found'],
    ['jobs show last', ExitCode.notFound, 'job_not_found'],
    ['keys create k --role viewer --expires 2020-01-01T00:00:00Z', ExitCode.usage, 'invalid_body'],
    ['queues show none', ExitCode.notFound, 'queue_not_found'],
    ['queues list --key wrong', ExitCode.denied, 'unauthorized'],
    ['submit q {bad', ExitCode.usage, 'usage'],
    ['submit q @none.json', ExitCode.usage, 'usage'],
    ['jobs edit 1', ExitCode.usage, 'usage'],
    ['queues list --url nonsense', ExitCode.usage, 'usage'],
  ] as const) {
    const said = await cli.run(...line.split(' '), '--json')
    assert.deepEqual([said.code, said.out, errorIn(said).code], [exitCode, '', code], line)
  }
})

test('A command line that makes no sense is told as a document too.', async (t) => {
  const cli = new CommandLine(t)
  for (const [line, why] of [
    ['--json nope', /^unknown (?:command|option)/],
    ['jobs list --json --state lost', /^'lost' does not fit as -s, --state <state>\. It must be one or several of pending/],
    ['submit --json', /^missing required argument 'queue'/],
    ['jobs --json', /^unknown option '--json'/],
  ] as const) {
    const said = await cli.run(...line.split(' '))
    assert.deepEqual([said.code, said.out], [ExitCode.usage, ''], line)
    const { code, message } = errorIn(said)
    assert.equal(code, 'usage')
    assert.match(message, why)
  }
  const { err } = await cli.run('jobs', 'show', '--', '--json')
  assert.match(err, /^octoflow: '--json' does not fit as <id>/, 'behind -- it is no option')
})

test('Of several jobs, those that it could not be done to stand beside the others, and the first is the error.', async (t) => {
  const { cli } = await startSite(t)
  await cli.run('submit', 'nobody')
  const said = await cli.run('jobs', 'cancel', '98', '1', '99', '--json')
  assert.equal(said.code, ExitCode.notFound)
  const { items, failed } = JSON.parse(said.out) as {
    items: { id: number; state: string }[]
    failed: ({ id: number } & Failure)[]
  }
  assert.deepEqual(
    items.map(({ id, state }) => [id, state]),
    [[1, 'cancelled']],
  )
  assert.deepEqual(
    failed.map(({ id, code, message }) => [id, code, message]),
    [98, 99].map((id) => [id, 'job_not_found', `There is no job ${id}.`]),
  )
  assert.equal(errorIn(said).message, 'There is no job 98.')
})

test('Of many lines, those that failed stand in the document, and nothing of them beside it.', async (t) => {
  const { cli } = await startSite(t)
  writeFileSync(cli.path('rows.ndjson'), '1\n{bad\n3\n')
  const said = await cli.run('submit', 'rows', '--file', 'rows.ndjson', '--json')
  assert.equal(said.code, ExitCode.failed)
  const { created, failed } = JSON.parse(said.out) as { created: number; failed: { line: number; code: string }[] }
  assert.deepEqual([created, failed.map(({ line, code }) => [line, code])], [2, [[2, 'invalid_json']]])
  assert.deepEqual(errorIn(said), { code: 'failed', message: '1 line failed.', hint: 'The member failed names each of them.' })
})

test('Lines that failed before the server went away are not lost.', async (t) => {
  const cli = new CommandLine(t, { OCTOFLOW_URL: 'http://127.0.0.1:2', OCTOFLOW_KEY: 'k' })
  writeFileSync(cli.path('rows.ndjson'), '{bad\n2\n')
  const said = await cli.run('submit', 'rows', '--file', 'rows.ndjson', '--json')
  assert.equal(said.code, ExitCode.unreachable)
  const { created, failed } = JSON.parse(said.out) as { created: number; failed: { line: number }[] }
  assert.deepEqual([created, failed.map(({ line }) => line)], [0, [1]])
  const { code, hint } = errorIn(said)
  assert.equal(code, 'unreachable')
  assert.match(hint, /with --idempotency-key \S+ submits the rest/)
})

test('A job that did not complete is printed, and the error says how it ended.', async (t) => {
  const { cli } = await startSite(t, { handlers: true })
  const said = await cli.run('submit', 'import', '{"rows":-1}', '--wait', '--json')
  assert.equal(said.code, ExitCode.failed)
  assert.equal((JSON.parse(said.out) as { state: string }).state, 'dead')
  assert.match(errorIn(said).message, /^Job 1 is dead: rows must be a whole number\.$/)
})

test('A list that breaks off is a whole document all the same, and says where the rest begins.', async (t) => {
  const items = Array.from({ length: 1_000 }, (_, index) => ({ id: index }))
  const url = await listening(
    t,
    createServer((request, answer) => {
      if (request.url!.includes('cursor=')) answer.destroy()
      else answer.end(JSON.stringify({ items, next: 'the-second-page' }))
    }),
  )
  const cli = new CommandLine(t, { OCTOFLOW_URL: url, OCTOFLOW_KEY: 'k' })
  const said = await cli.run('jobs', 'list', '--all', '--json')
  assert.equal(said.code, ExitCode.unreachable)
  assert.deepEqual(JSON.parse(said.out), { items, next: 'the-second-page' })
  assert.equal(errorIn(said).code, 'unreachable')
})

test('What config and doctor find wrong is their result, and the error beside it says that there is something.', async (t) => {
  const cli = new CommandLine(t, { OCTOFLOW_NONSENSE: '1', PORT: '0' })
  const config = await cli.run('config', '--json')
  assert.equal(config.code, ExitCode.config)
  assert.equal((JSON.parse(config.out) as { problems: string[] }).problems.length, 1)
  assert.equal(errorIn(config).code, 'config_invalid')
  const doctor = await cli.run('doctor', '--json')
  assert.equal(doctor.code, ExitCode.failed)
  assert.equal((JSON.parse(doctor.out) as { ok: boolean }).ok, false)
  assert.equal(errorIn(doctor).code, 'failed')
  const list = await cli.run('queues', 'list', '--json')
  assert.deepEqual([list.code, list.out, errorIn(list).code], [ExitCode.config, '', 'config_invalid'])
})
