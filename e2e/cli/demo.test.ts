import assert from 'node:assert/strict'
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { temporaryDirectory } from '../support/owner.ts'
import { KEY } from '../support/server-process.ts'
import { CHECKOUT, Command, octoflow, runOctoflow } from './command.ts'

interface Examples {
  readonly name: string
  readonly examples: readonly object[]
}

const PACKAGE = join(dirname(createRequire(import.meta.url).resolve('@octokit/webhooks-examples')), '..')

/** How many examples of each event there are, those of github.com and those of each release of GitHub Enterprise Server. */
const COUNTS = new Map<string, number>()
for (const file of globSync('*/index.json', { cwd: PACKAGE }))
  for (const { name, examples } of JSON.parse(readFileSync(join(PACKAGE, file), 'utf8')) as readonly Examples[])
    COUNTS.set(name, (COUNTS.get(name) ?? 0) + examples.length)

const COUNT = [...COUNTS.values()].reduce((sum, count) => sum + count, 0)

interface Rate {
  readonly seconds: number
  readonly perSecond: number
}

interface Report {
  readonly captured: number
  readonly completed: number
  readonly failed: readonly object[]
  readonly events: readonly {
    readonly event: string
    readonly captured: number
    readonly completed: number
    readonly example: string
  }[]
  readonly throughput: { readonly captured: Rate; readonly workedOff: Rate; readonly endToEnd: Rate }
  readonly job: { readonly state: string; readonly result: object; readonly timeline: readonly { readonly message: string }[] }
}

test('npm run demo works off every example webhook and shows a timeline, the totals and the throughput.', async (t) => {
  const { code, stdout, stderr } = await new Command(t, ['npm', 'run', 'demo'], { cwd: CHECKOUT }).ended
  assert.equal(code, 0, stderr)
  assert.match(stderr, /A worker process takes the jobs\.\nCaptured \d+ webhooks in .*\nAll are worked off after /)
  assert.match(
    stdout,
    /^Job \d+ {2}completed\n.*"summary": "Codertocat opened pull request #2.*\nTimeline\n.*Job completed\n/ms,
  )
  for (const [event, count] of COUNTS) assert.match(stdout, new RegExp(`^${event} +${count} +${count} {2}\\S`, 'm'), event)
  assert.match(stdout, new RegExp(`captured +${COUNT} webhooks, [\\d,]+/s`))
  assert.match(stdout, new RegExp(`worked off +${COUNT} completed, [\\d,]+/s`))
  assert.match(stdout, /end to end +[\d,]+\/s/)
})

test('With --json it prints one document and nothing else, and leaves nothing behind.', async (t) => {
  const TMPDIR = temporaryDirectory(t)
  const { code, stdout, stderr } = await runOctoflow(t, ['demo', '--json'], { env: { TMPDIR } })
  assert.deepEqual([code, stderr], [0, ''])
  const { captured, completed, failed, events, throughput, job } = JSON.parse(stdout) as Report
  assert.deepEqual([captured, completed, failed], [COUNT, COUNT, []])
  assert.deepEqual(
    events.map(({ event, captured: made, completed: done }) => [event, made, done]),
    [...COUNTS].map(([event, count]) => [event, count, count]).sort(([a], [b]) => (a! < b! ? -1 : 1)),
  )
  for (const { event, example } of events) assert.match(example, /^\S+ \S+/, `${event} is told in words`)
  for (const { seconds, perSecond } of Object.values(throughput)) assert.ok(seconds > 0 && perSecond > 0)
  assert.equal(job.state, 'completed')
  assert.ok(job.timeline.length >= 4)
  assert.deepEqual(
    readdirSync(TMPDIR).filter((name) => name.startsWith('octoflow')),
    [],
  )
})

test('It uses a running server instead, whose jobs stay.', async (t) => {
  const { server, client } = await startOctoflow(t)
  const { code } = await runOctoflow(t, ['demo', '--json', '--url', server.url, '--key', KEY])
  assert.equal(code, 0)
  const { counts } = (await client.get('/api/v1/queues/github')).json as { counts: { completed: number } }
  assert.equal(counts.completed, COUNT)
})

test('Ctrl-C ends the demo with its server and its worker, and leaves nothing behind.', async (t) => {
  const TMPDIR = temporaryDirectory(t)
  const demo = octoflow(t, ['demo'], { env: { TMPDIR } })
  const [, url] = await demo.says(/The server is at (\S+)\.\n/, 'stderr')
  process.kill(demo.pid, 'SIGINT')
  assert.equal((await demo.ended).code, 130)
  await assert.rejects(fetch(`${url}/healthz`))
  assert.deepEqual(
    readdirSync(TMPDIR).filter((name) => name.startsWith('octoflow')),
    [],
  )
})

test('A server of its own that does not start is told with its words and its exit code.', async (t) => {
  const { code, stdout, stderr } = await runOctoflow(t, ['demo', '--database-url', 'mysql://host/db?nonsense=1'])
  assert.deepEqual([code, stdout], [7, ''])
  assert.match(stderr, /^octoflow: `octoflow serve` ended with exit code 7\.\noctoflow: The configuration does not fit/)
})
