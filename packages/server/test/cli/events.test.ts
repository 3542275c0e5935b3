import assert from 'node:assert/strict'
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { startSite } from './support/server.ts'

const event = (id: number | string, more: object = {}) => ({
  type: 'user',
  timestamp: '2023-10-01T13:45:00Z',
  event_id: String(id),
  event: { username: `u${id}`, email: 'a@b.cd', operation: 'write' },
  ...more,
})

const lines = (events: readonly unknown[]): string => events.map((one) => `${JSON.stringify(one)}\n`).join('')

const many = (from: number, count: number) => Array.from({ length: count }, (_, n) => event(from + n))

test('events import stores a file, and export gives the same file back.', async (t) => {
  const { cli } = await startSite(t)
  const text = `\uFEFF${lines(many(1, 2_500))}\n\r\n${JSON.stringify(event('last'))}`
  writeFileSync(cli.path('in.ndjson'), text)
  assert.deepEqual(await cli.run('events', 'import', 'in.ndjson'), {
    code: ExitCode.ok,
    out: '2,501 events stored.\n',
    err: '',
  })
  assert.equal((await cli.run('events', 'export')).out, lines([...many(1, 2_500), event('last')]))
  assert.equal((await cli.run('events', 'export', '--username', 'u7')).out, lines([event(7)]))
  const csv = await cli.run('events', 'export', '--format', 'csv', '--type', 'system')
  assert.equal(csv.out, 'event_id,type,timestamp,username,email,system_id,location,operation,event\r\n')
  assert.equal((await cli.run('events', 'import', 'in.ndjson')).out, '0 events stored, 2,501 stored before.\n')
  assert.equal(existsSync(cli.path('in.ndjson.errors.ndjson')), false)
})

test('Lines that do not fit go into a file beside, with number and reason, and keep no other from being stored.', async (t) => {
  const { cli } = await startSite(t)
  const large = JSON.stringify(event('large', { more: 'x'.repeat(1_100_000) }))
  const bad = [JSON.stringify(event(2, { type: 'nothing' })), '{"half', '[]', large]
  writeFileSync(cli.path('in.ndjson'), `${lines([event(1)])}${bad.join('\n')}\n${lines([event(3)])}`)
  const { code, out } = await cli.run('events', 'import', 'in.ndjson')
  assert.equal(code, ExitCode.failed)
  assert.equal(out, '2 events stored, 4 lines that did not fit, in in.ndjson.errors.ndjson.\n')
  const faults = readFileSync(cli.path('in.ndjson.errors.ndjson'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { line: number; error: string; text: string })
  assert.deepEqual(
    faults.map(({ line, text }) => [line, text]).sort(),
    bad.map((text, index) => [index + 2, text]),
  )
  const errors = new Map(faults.map(({ line, error }) => [line, error]))
  assert.deepEqual([errors.get(2), errors.get(4)], ['invalid_type', 'invalid_event'])
  assert.match(errors.get(3)!, /^it is not JSON/)
  assert.match(errors.get(5)!, /larger than/)
  const json = await cli.run('events', 'import', 'in.ndjson', '--json', '--errors', 'other.ndjson')
  assert.deepEqual(JSON.parse(json.out), { stored: 0, known: 2, failed: 4, errors: 'other.ndjson' })
})

test('The file that is imported is not written to, whatever leads to it.', async (t) => {
  const { cli } = await startSite(t)
  const text = `${lines([event(1)])}{"half\n`
  writeFileSync(cli.path('in.ndjson'), text)
  symlinkSync(cli.path('in.ndjson'), cli.path('link'))
  for (const errors of ['in.ndjson', './in.ndjson', 'link']) {
    const { code, err } = await cli.run('events', 'import', 'in.ndjson', '--errors', errors)
    assert.equal(code, ExitCode.usage)
    assert.match(err, /is the file that is imported/)
  }
  assert.equal(readFileSync(cli.path('in.ndjson'), 'utf8'), text)
})

test('An import that is interrupted says how to go on.', async (t) => {
  const { cli } = await startSite(t)
  const stdin = new PassThrough()
  const running = cli.start(['events', 'import', '-'], { stdin, columns: 80 })
  stdin.write(lines(many(1, 2_500)))
  await running.err.until(/2,000 lines/)
  running.signal('SIGINT')
  const { code, err } = await running.ended
  assert.equal(code, ExitCode.interrupted)
  assert.match(err, /Lines 1 to 2000 of - are done\. The same command with --from-line 2001 imports the rest\./)
  writeFileSync(cli.path('in.ndjson'), lines(many(1, 2_500)))
  assert.equal((await cli.run('events', 'import', 'in.ndjson', '--from-line', '2001')).out, '500 events stored.\n')
})

test('events tail prints each event on a line, and ends by a signal as it is meant to.', async (t) => {
  const { cli } = await startSite(t)
  const running = cli.start(['events', 'tail', '--username', 'u2'], {})
  await running.err.until(/Following/)
  writeFileSync(cli.path('in.ndjson'), lines(many(1, 3)))
  await cli.run('events', 'import', 'in.ndjson')
  await running.out.until(/\n/)
  running.signal('SIGINT')
  const { code, out } = await running.ended
  assert.deepEqual([code, out], [ExitCode.ok, lines([event(2)])])
})

test('What the server refuses is told in its words.', async (t) => {
  const { cli } = await startSite(t)
  writeFileSync(cli.path('in.ndjson'), lines(many(1, 1)))
  const denied = await cli.run('events', 'import', 'in.ndjson', '--key', 'wrong')
  assert.equal(denied.code, ExitCode.denied)
  assert.match(denied.err, /does not accept the key/)
  const missing = await cli.run('events', 'import', 'nothing.ndjson')
  assert.equal(missing.code, ExitCode.usage)
  const elsewhere = await cli.run('events', 'export', '--url', 'http://127.0.0.1:9')
  assert.equal(elsewhere.code, ExitCode.unreachable)
})
