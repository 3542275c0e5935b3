import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Octoflow, startOctoflow } from '../support/octoflow.ts'
import { type Owner, temporaryDirectory, whenDone } from '../support/owner.ts'
import { pythonWith } from '../support/python.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { KEY } from '../support/server-process.ts'
import { until, within } from '../support/until.ts'
import { capture } from './capturing.ts'

const SCRIPT = fileURLToPath(new URL('./mammoth-worker.py', import.meta.url))

/** Starts the released worker. @returns stops it and resolves with what it said. */
function startMammoth(owner: Owner, python: string, { server }: Octoflow): () => Promise<string> {
  const child = spawn(python, [SCRIPT], {
    // It writes its log where it runs.
    cwd: temporaryDirectory(owner),
    env: { PATH: process.env.PATH, SERVER: server.url, KEY, NO_PROXY: '127.0.0.1', PYTHONDONTWRITEBYTECODE: '1' },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => {
      said += text
    })
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve(said))
  })
  whenDone(owner, () => {
    child.kill('SIGKILL')
  })
  return () => {
    child.stdin.end()
    return within(20, 'stopping the worker', ended)
  }
}

test('The released Mammoth works jobs off with several threads in two processes, each job once.', async (t) => {
  const environment = await pythonWith('mammoth-2.1.4', ['drumpler_mammoth==2.1.4', 'requests', 'python-dotenv'])
  if ('missing' in environment) return skipUnlessCi(t, environment.missing)
  const octoflow = await startOctoflow(t)
  const { client, database } = octoflow
  const tables = database()
  const stops = [1, 2].map(() => startMammoth(t, environment.python, octoflow))
  const ids: number[] = []
  for (let n = 0; n < 60; n++) {
    // Requests without a job lie between: it reports by the request's id, and must hit the right job all the same.
    if (n % 3 === 0) await client.post('/request', { json: { n } })
    ids.push(await capture(client, 'App', { n }))
  }
  const handled = tables.prepare('SELECT count(*) AS n FROM requests WHERE is_handled = 1')
  const failed = tables.prepare("SELECT count(*) AS n FROM jobs WHERE status = 'Error'")
  await until(() => handled.get()!.n === 48 && failed.get()!.n === 12, { what: 'all jobs have ended', withinSeconds: 60 })
  const said = await Promise.all(stops.map((stop) => stop()))

  const events = tables.prepare('SELECT message FROM events WHERE job_id = ? ORDER BY id')
  const jobs = tables.prepare('SELECT j.status, r.is_handled FROM jobs j JOIN requests r ON r.id = j.request_id WHERE j.id = ?')
  for (const [n, id] of ids.entries()) {
    const failing = n % 5 === 0
    assert.deepEqual({ ...jobs.get(id) }, { status: failing ? 'Error' : 'Completed', is_handled: failing ? 0 : 1 })
    assert.deepEqual(
      events.all(id).map(({ message }) => message),
      [`Working on ${n}`, failing ? 'Failed to process request' : 'Request processed successfully'],
    )
  }
  for (const text of said) assert.doesNotMatch(text, /Traceback|Failed to (?:log|mark|update)|Error occured/)
})
