import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { DeadLetter, JobDetail, Operation } from '@octoflow/protocol'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { type Site, startSite } from './support/server.ts'

/** A site with so many jobs that died in the queue import. */
async function startWithDead(t: TestContext, count: number): Promise<Site> {
  const site = await startSite(t, { handlers: true })
  for (let number = 0; number < count; number++) await site.cli.run('submit', 'import', '{"rows":-1}', '--wait')
  return site
}

test('dead list and dead show say why jobs died.', async (t) => {
  const { cli } = await startWithDead(t, 1)
  const [titles, row] = (await cli.run('dead', 'list')).out.split('\n')
  assert.match(titles!, /^ID +QUEUE +DIED +ATTEMPTS +REASON +ERROR$/)
  assert.match(row!, /^ 1 +import .* 1 +rows must be a whole number$/)
  assert.match((await cli.run('dead', 'show', '1')).out, /^Dead letter 1 {2}rows must be a whole number\n {2}queue +import\n/)
  const { items } = await cli.json<{ items: readonly DeadLetter[] }>('dead', 'list', '-q', 'import')
  assert.deepEqual(
    items.map(({ id }) => id),
    [1],
  )
  assert.equal((await cli.json<DeadLetter>('dead', 'show', '1')).id, 1)
  assert.equal((await cli.run('dead', 'list', '-q', 'none')).out, 'There are no dead letters.\n')
  assert.equal((await cli.run('dead', 'show', '9')).code, ExitCode.notFound)
})

test('dead replay runs one again, with another payload and in another queue where that is wanted.', async (t) => {
  const { cli } = await startWithDead(t, 1)
  const { code, out } = await cli.run('dead', 'replay', '1', '--target', 'later', '--payload', '{"rows":0}')
  assert.deepEqual([code, out], [ExitCode.ok, 'Job 1 is pending again in later.\n'])
  const job = await cli.json<JobDetail>('jobs', 'show', '1')
  assert.deepEqual([job.queue, job.payload], ['later', { rows: 0 }])
  assert.equal((await cli.run('dead', 'replay', '1')).code, ExitCode.notFound, 'it is dead no more')
})

test('dead replay --all runs all that match again, as an operation.', async (t) => {
  const { cli } = await startWithDead(t, 3)
  await cli.run('queues', 'pause', 'import')
  assert.equal((await cli.run('dead', 'replay', '--all', '-q', 'other')).out, 'Operation 1 is completed: 0 jobs run again.\n')
  assert.equal((await cli.run('dead', 'replay', '--all', '-q', 'import')).out, 'Operation 2 is completed: 3 jobs run again.\n')
  const { out } = await cli.run('operations', 'list')
  assert.match(out, /^ID +ACTION +STATE .*\n 2 +retry +completed +3 +3 +0 .*"queue":\["import"\]/)
  const shown = await cli.json<Operation>('operations', 'show', '2', '--follow')
  assert.deepEqual([shown.state, shown.changed], ['completed', 3])
})

test('Operations that are not there or have ended are told by the exit code.', async (t) => {
  const { cli } = await startSite(t)
  assert.equal((await cli.run('operations', 'list')).out, 'There has been no operation.\n')
  assert.equal((await cli.run('operations', 'show', '1')).code, ExitCode.notFound)
  await cli.run('dead', 'replay', '--all')
  const { code, err } = await cli.run('operations', 'abort', '1')
  assert.equal(code, ExitCode.conflict)
  assert.match(err, /Operation 1 is completed already/)
})

test('dead replay wants to know what is meant.', async (t) => {
  const { cli } = await startSite(t)
  for (const [args, why] of [
    [[], /It is not said which dead letters/],
    [['1', '--all'], /cannot go together/],
    [['1', '-q', 'x'], /A filter goes with --all/],
    [['--all', '--target', 'x'], /go with numbers/],
    [['last'], /the number of a job/],
  ] as const) {
    const { code, err } = await cli.run('dead', 'replay', ...args)
    assert.equal(code, ExitCode.usage, args.join(' '))
    assert.match(err, why)
  }
})
