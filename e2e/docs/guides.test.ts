import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { ClaimAnswer, JobDetail } from '@octoflow/protocol'
import { Command } from '../cli/command.ts'
import { Client } from '../support/client.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { type Owner, temporaryDirectory, whenDone } from '../support/owner.ts'
import { pythonWith } from '../support/python.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { KEY } from '../support/server-process.ts'
import { until } from '../support/until.ts'

const run = promisify(execFile)

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PATH = `${join(ROOT, 'node_modules/.bin')}:${dirname(process.execPath)}:${process.env.PATH}`

const DRUMPLER = 'docs/guides/moving-from-drumpler.md'
const OPERATING = 'docs/guides/operating.md'
const LOG_EVENTS = 'docs/guides/log-events.md'

/** The blocks of a page that are in a language, without their fences. */
function blocks(page: string, language: string): readonly string[] {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, block]) => block!)
}

/** JSON objects, one after the other. */
const jsonValues = (text: string): readonly unknown[] =>
  text.split(/(?<=\})\s*(?=\{)/).map((value) => JSON.parse(value) as unknown)

const shell = (script: string, env: Readonly<Record<string, string>>, cwd: string) =>
  run('bash', ['-euo', 'pipefail', '-c', script], { cwd, env: { PATH, ...env } })

const untilCompleted = (client: Client, id: number): Promise<JobDetail> =>
  until(
    async () => {
      const job = (await client.get(`/api/v1/jobs/${id}`)).json as JobDetail
      return job.state === 'completed' && job
    },
    { what: `job ${id} is completed`, withinSeconds: 30 },
  )

/** Starts a program of a page, and ends it with the test. */
function start(
  owner: Owner,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
): void {
  const child = spawn(command, args, { cwd, env: { PATH, NO_PROXY: '127.0.0.1', ...env }, stdio: 'ignore' })
  whenDone(owner, () => {
    child.kill('SIGKILL')
  })
}

test('The worker of the README works as it stands there.', async (t) => {
  const { server, client } = await startOctoflow(t)
  const [worker, ...more] = blocks('README.md', 'ts')
  assert.deepEqual(more, [], 'blocks that this test does not know')
  const code = worker!.replace('http://localhost:5000', server.url)
  assert.notEqual(code, worker, 'the README has an address to put in')
  start(t, process.execPath, ['--input-type=module-typescript', '--eval', code], { AUTHORIZATION_KEY: KEY }, ROOT)
  const { job_id: id } = (await client.post('/request?custom_value=emails', { json: { to: 'ada@example.com' } })).json as {
    readonly job_id: number
  }
  const job = await untilCompleted(client, id)
  assert.deepEqual(job.result, { sent: true })
})

test('The commands of the README work as they stand there.', async (t) => {
  const scripts = blocks('README.md', 'sh')
  assert.equal(scripts.length, 5, 'this test knows each block')
  const [start, tryIt, demo, tests, files] = scripts as readonly [string, string, string, string, string]
  // What they do is tested where it takes a checkout and its time; here, that there is such a script.
  const { scripts: known } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  for (const line of [start, demo, tests, 'npm run bench']) assert.ok(/npm (?:run )?(\w+)\s*$/.exec(line)![1]! in known, line)

  const flags = ['--app', join(ROOT, 'examples/quickstart'), '--handlers', 'workers']
  const { server } = await startOctoflow(t, { flags })
  const { stdout } = await shell(tryIt, { OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY }, ROOT)
  assert.match(stdout, /"greeting": "Hello, Ada!".*Job 1 {2}completed/s)

  const cwd = temporaryDirectory(t)
  mkdirSync(join(cwd, 'workers'))
  writeFileSync(join(cwd, 'workers/emails.ts'), 'export const process = async (): Promise<object> => ({ sent: true })\n')
  const env = { PATH, AUTHORIZATION_KEY: KEY, OCTOFLOW_KEY: KEY, OCTOFLOW_URL: server.url }
  const lines = files.trim().split('\n')
  assert.equal(lines.length, 2)
  for (const line of lines) {
    const port = line.startsWith('octoflow serve') ? ' --port 0' : ''
    const running = new Command(t, ['bash', '-c', `exec ${line}${port}`], { cwd, env })
    const [, url] = await running.says(/(?:^Working on emails .* for|listening on) (http:\/\/127\.0\.0\.1:\d+)/m)
    const { stdout: said } = await shell('octoflow submit emails --wait', { ...env, OCTOFLOW_URL: url! }, cwd)
    assert.match(said, /"sent": true/, line)
    running.signal('SIGTERM')
    assert.equal((await running.ended).code, 0)
  }
})

test('The calls and the SQL of the guide for users of Drumpler work as they stand there.', async (t) => {
  const { server, database } = await startOctoflow(t)
  const [script, ...moreScripts] = blocks(DRUMPLER, 'sh')
  const [answers, ...moreAnswers] = blocks(DRUMPLER, 'json')
  assert.deepEqual([...moreScripts, ...moreAnswers], [], 'blocks that this test does not know')
  const { stdout } = await shell(script!, { SERVER: server.url, AUTHORIZATION_KEY: KEY }, temporaryDirectory(t))
  assert.deepEqual(jsonValues(stdout), jsonValues(answers!))

  const [sql, ...moreSql] = blocks(DRUMPLER, 'sql')
  assert.deepEqual(moreSql, [])
  const [counts, events, ...moreQueries] = sql!.split(/;\s*/).filter((query) => query !== '')
  assert.deepEqual(moreQueries, [])
  const tables = database()
  assert.deepEqual(
    tables
      .prepare(counts!)
      .all()
      .map((row) => ({ ...row })),
    [{ custom_value: 'App', status: 'Completed', jobs: 1 }],
  )
  assert.deepEqual(tables.prepare(events!).all(), [])
})

test('The workers of the guide for users of Drumpler work side by side.', async (t) => {
  const environment = await pythonWith('mammoth-2.1.4', ['drumpler_mammoth==2.1.4', 'requests', 'python-dotenv'])
  if ('missing' in environment) return skipUnlessCi(t, environment.missing)
  const { server, client } = await startOctoflow(t)
  const cwd = temporaryDirectory(t)
  const [python] = blocks(DRUMPLER, 'python')
  const own = python!.replace('http://localhost:5000', server.url).replace('your key', KEY)
  assert.notEqual(own, python, 'the guide has an address and a key to put in')
  start(t, environment.python, ['-c', own], { PYTHONDONTWRITEBYTECODE: '1' }, cwd)
  const [typescript] = blocks(DRUMPLER, 'ts')
  const env = { SERVER: server.url, AUTHORIZATION_KEY: KEY }
  start(t, process.execPath, ['--input-type=module-typescript', '--eval', typescript!], env, ROOT)

  // Mammoth's jobs have no result, those of the SDK have one: requests are sent until both have done some.
  const kinds = new Set<string>()
  await until(
    async () => {
      const { job_id: id } = (await client.post('/request?custom_value=App', { json: { order: 7 } })).json as { job_id: number }
      const job = await untilCompleted(client, id)
      kinds.add(job.result === null ? 'Mammoth' : 'SDK')
      const { items } = (await client.get(`/api/v1/jobs/${id}/events`)).json as { items: readonly { message: string }[] }
      assert.ok(items.some(({ message }) => message === 'Working on order 7'))
      return kinds.size === 2
    },
    { what: 'both workers have taken jobs', withinSeconds: 60 },
  )
})

test('The commands of the operating guide work as they stand there, and the backup is whole.', async (t) => {
  const cwd = temporaryDirectory(t)
  const { client, server } = await startOctoflow(t, { data: join(cwd, 'data') })
  for (let id = 1; id < 12; id++) await client.post('/api/v1/jobs', { json: { queue: 'others', payload: { id } } })
  await client.post('/api/v1/jobs', { json: { queue: 'emails', maxAttempts: 1 } })
  const claimed = (await client.post('/api/v1/queues/emails/claim', { json: { workerId: 'w' } })).json as ClaimAnswer
  const [{ id, leaseToken }] = claimed.jobs as [ClaimAnswer['jobs'][number]]
  assert.equal(id, 12, 'the guide’s dead letter')
  const report = { id, leaseToken, outcome: 'failed', error: 'no such address' }
  await client.post('/api/v1/jobs/report', { json: { workerId: 'w', jobs: [report] } })

  for (const script of blocks(OPERATING, 'sh')) await shell(script, { OCTOFLOW_KEY: KEY, OCTOFLOW_URL: server.url }, cwd)

  const restored = join(cwd, 'restored')
  mkdirSync(restored)
  cpSync(join(cwd, 'backup.db'), join(restored, 'octoflow.db'))
  const again = await startOctoflow(t, { data: restored })
  const jobs = await again.client.get('/api/v1/jobs?limit=100')
  assert.equal((jobs.json as { readonly items: readonly unknown[] }).items.length, 12)
  const queue = (await new Client(server.url).get('/api/v1/queues/webhooks')).json as { readonly retentionDays: number }
  assert.equal(queue.retentionDays, 30)
})

test('The calls, types and rules of the guide to log events work as they stand there.', async (t) => {
  const [post, read, move, ...moreScripts] = blocks(LOG_EVENTS, 'sh')
  const [types, ...moreTypes] = blocks(LOG_EVENTS, 'json')
  const [config, ...moreConfigs] = blocks(LOG_EVENTS, 'yaml')
  assert.deepEqual([...moreScripts, ...moreTypes, ...moreConfigs], [], 'blocks that this test does not know')
  const app = temporaryDirectory(t)
  mkdirSync(join(app, 'maps'))
  writeFileSync(join(app, 'maps/event-types.json'), types!)
  const { server, client } = await startOctoflow(t, { flags: ['--app', app], config: config! })
  const env = { OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY }
  const stored = await shell(post!, env, app)
  assert.deepEqual(JSON.parse(stored.stdout), [
    { event_id: 'u_001', success: true, error: '' },
    { event_id: 's_123', success: true, error: '' },
  ])
  const { stdout } = await shell(read!, env, app)
  assert.match(stdout, /"total":1,.*"event_id":"s_123"/s)
  assert.match(readFileSync(join(app, 'events.csv'), 'utf8'), /u_001,user/)
  assert.match((await shell(move!, env, app)).stdout, /0 events stored, 2 stored before\./)

  const { example } = (JSON.parse(types!) as { payment: { example: object } }).payment
  const payment = { type: 'payment', timestamp: '2023-10-01T13:45:00Z', event_id: 'p_1', event: example }
  assert.equal((await client.post('/v1/events', { json: [payment] })).status, 200)
  const started = async () => (await client.get('/api/v1/jobs')).text.includes('"queue":"refunds"')
  await until(started, { what: 'the rule has started a job' })
})
