import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { test } from 'node:test'
import { ExitCode } from '../../packages/server/src/cli/exit-code.ts'
import { startOctoflow } from '../support/octoflow.ts'
import { KEY } from '../support/server-process.ts'
import { CHECKOUT, Command, octoflow, runOctoflow } from './command.ts'

const page = (path: string): string => readFileSync(join(CHECKOUT, path), 'utf8')

const scripts = (text: string): readonly string[] => [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, script]) => script!)

const GUIDE = page('docs/guides/command-line.md')

/** Where `octoflow` is found, and the Node.js that runs the tests. */
const PATH = [join(CHECKOUT, 'node_modules/.bin'), dirname(process.execPath), process.env.PATH].join(delimiter)

test('The commands of the guide work in the order they stand there.', async (t) => {
  const flags = ['--app', join(CHECKOUT, 'examples/quickstart'), '--handlers', 'workers']
  const { server, client } = await startOctoflow(t, { flags })
  const env = { PATH, OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY }
  const script = `set -euo pipefail\n${scripts(GUIDE).join('\n')}`
  const { code, stdout, stderr } = await new Command(t, ['bash', '-c', script], { env }).ended
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /"greeting": "Hello, Ada!"/)
  assert.match(stdout, /customer=42/)
  assert.match(stdout, /No worker has asked the queue "emails"/)
  assert.match(stdout, /\nexit code 1\n/)
  assert.match(stdout, /\n2,500 events stored\.\n250\n/)
  assert.match(stdout, /\n5,000 jobs submitted to greet\.\n0 jobs submitted to greet, 5,000 lines submitted before\.\n/)
  assert.equal(((await client.get('/api/v1/queues/orders')).json as { counts: { pending: number } }).counts.pending, 1)
})

test('The guide has every command and every exit code.', async (t) => {
  const { stdout } = await runOctoflow(t, ['--help'])
  const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name!)
  assert.ok(names.length >= 13)
  for (const name of names.filter((name) => name !== 'help')) assert.match(GUIDE, new RegExp(`^\\| \`${name}\\b`, 'm'), name)
  for (const group of ['jobs', 'queues', 'dead', 'operations', 'events', 'workers', 'keys']) {
    const { stdout: help } = await runOctoflow(t, [group, '--help'])
    const rows = GUIDE.split('\n')
      .filter((line) => line.startsWith(`| \`${group} `))
      .join('\n')
    const verbs = [
      ...help
        .split('\nCommands:\n')[1]!
        .split('\n\n')[0]!
        .matchAll(/^ {2}([a-z]+) /gm),
    ].map(([, verb]) => verb!)
    assert.ok(verbs.length >= 3)
    for (const verb of verbs) assert.match(rows, new RegExp(`[\` ]${verb}\``), `${group} ${verb}`)
  }
  const codes = [...GUIDE.matchAll(/^\| +(\d+) \| /gm)].map(([, code]) => Number(code))
  assert.deepEqual(codes, Object.values(ExitCode))
})

test('What the page of the quickstart says to paste works.', async (t) => {
  const cwd = CHECKOUT
  const text = page('examples/quickstart/README.md')
  const [start, ...others] = scripts(text)
  assert.equal(start, 'npm ci && npm start\n')
  const { server } = await startOctoflow(t, {
    flags: ['--app', join(CHECKOUT, 'examples/quickstart'), '--handlers', 'workers'],
  })
  const env = { PATH, OCTOFLOW_URL: server.url, OCTOFLOW_KEY: KEY }
  const worker = others.pop()!
  const script = others.join('').replaceAll('http://127.0.0.1:5000', server.url).replaceAll('$(cat data/key)', KEY)
  const { code, stdout, stderr } = await new Command(t, ['bash', '-c', `set -euo pipefail\n${script}`], { cwd, env }).ended
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /"imported": 20/)
  assert.match(stdout, /rows must be a whole number/)
  assert.match(stdout, /Request processed successfully/)
  const args = worker.trim().split(' ').slice(2)
  const running = octoflow(t, args, { cwd, env })
  await running.says(/^Working on greet /)
  running.signal('SIGINT')
  assert.equal((await running.ended).code, 0)
})
