import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ChildListener } from '../src/isolation/child-port.ts'
import { Host } from '../src/isolation/host.ts'
import type { Isolation, WorkerOptions } from '../src/options.ts'
import type { Task } from './handlers/tasks.ts'
import { HangUps } from './support/hang-ups.ts'
import type { StoredJob } from './support/memory-server.ts'
import { type Setup, setUp as setUpAny } from './support/setup.ts'

const TASKS = new URL('./handlers/tasks.ts', import.meta.url)

type IsolatedSetup = Setup & { submit(task: Task, options?: Parameters<Setup['server']['submit']>[2]): StoredJob }

function setUp(t: TestContext, isolation: Isolation, options: Partial<WorkerOptions> = {}): IsolatedSetup {
  const setup = setUpAny(t, { process: TASKS, isolation, concurrency: 1, ...options })
  return { ...setup, submit: (task, options) => setup.server.submit('q', task, options) }
}

const errorOf = (job: StoredJob): { message: string; code: string; detail: string | null } => job.error as never

for (const isolation of ['thread', 'process'] as const) {
  test(`[${isolation}] Results and failures cross the boundary as they are inline.`, async (t) => {
    const { server, worker, submit } = setUp(t, isolation)
    const echo = submit({ do: 'echo', milliseconds: 5 })
    const failing = submit({ do: 'false' })
    const throwing = submit({ do: 'throw' })
    const unprintable = submit({ do: 'bigint' })
    await worker.start()
    await server.untilOutcomes(unprintable, 1)
    assert.equal((echo.result as Task).milliseconds, 5)
    assert.equal(errorOf(failing).code, 'returned_false')
    assert.deepEqual([errorOf(throwing).message, errorOf(throwing).code], ['broken', 'BROKEN'])
    assert.match(errorOf(throwing).detail!, /tasks\.ts/)
    assert.equal(errorOf(unprintable).code, 'result_not_json')
  })

  test(`[${isolation}] Events, log lines, progress and the logger work in the handler.`, async (t) => {
    const { server, worker, log, submit } = setUp(t, isolation)
    const job = submit({ do: 'say' }, { labels: { customer: '42' } })
    await worker.start()
    await server.untilState(job, 'completed')
    assert.deepEqual(
      job.events.map(({ at, ...event }) => event),
      [
        { message: 'one', data: { n: 1 } },
        { message: 'two', kind: 'log', level: 'warn' },
        { message: 'four' },
        { message: 'Request processed successfully' },
      ],
    )
    assert.deepEqual(job.result, { customer: '42' })
    const [line] = log.matching(/^three$/)
    assert.equal(line?.fields.jobId, 1)
    assert.equal(line?.fields.big, '1')
    assert.match(String(line?.fields.error), /Error: shown\n/)
  })

  test(`[${isolation}] The signal fires in the handler.`, async (t) => {
    const { server, worker, submit } = setUp(t, isolation, { leaseSeconds: 1 })
    const job = submit({ do: 'obey', file: 'completes' })
    await worker.start()
    await server.untilState(job, 'running')
    server.cancel(job)
    await server.untilOutcomes(job, 1)
    assert.equal(job.result, 'cancelled')
  })

  test(`[${isolation}] A child is used again for the next job, in whose name an earlier handler cannot speak.`, async (t) => {
    const { server, worker, log, submit } = setUp(t, isolation)
    const hangUps = await HangUps.listen(t)
    const first = submit({ do: 'echo' })
    const talkative = submit({ do: 'late', port: hangUps.port })
    const next = submit({ do: 'wait', port: hangUps.port })
    const last = submit({ do: 'echo' })
    await worker.start()
    await hangUps.untilOpen(2)
    hangUps.tell()
    await server.untilState(last, 'completed')
    assert.deepEqual(first.result, last.result)
    assert.equal(next.result, 'told')
    for (const job of [first, talkative, next, last]) {
      assert.deepEqual(job.events, [{ message: 'Request processed successfully' }])
      assert.equal(job.progress, null)
    }
    assert.deepEqual(log.matching(/late/), [])
  })

  test(`[${isolation}] A job that is aborted before its child is ready is not started.`, async (t) => {
    const { server, worker, submit } = setUp(t, isolation, { concurrency: 2 })
    const hangUps = await HangUps.listen(t)
    submit({ do: 'wait', port: hangUps.port })
    await worker.start()
    await hangUps.untilOpen()
    const second = submit({ do: 'wait', port: hangUps.port })
    await server.untilState(second, 'running')
    await turn()
    await worker.stop({ timeoutSeconds: 0 })
    assert.deepEqual(second.outcomes, ['released'])
    assert.equal(hangUps.opened, 1)
  })

  test(`[${isolation}] As many jobs run at once as there may, each in a child of its own.`, async (t) => {
    const { server, worker, submit } = setUp(t, isolation, { concurrency: 3 })
    const hangUps = await HangUps.listen(t)
    const jobs = [1, 2, 3].map(() => submit({ do: 'wait', port: hangUps.port }))
    await worker.start()
    await hangUps.untilOpen(3)
    hangUps.tell()
    await server.until(() => jobs.every(({ state }) => state === 'completed'))
  })

  test(`[${isolation}] A handler that exits fails its job only; the next one gets a new child.`, async (t) => {
    const { server, worker, submit } = setUp(t, isolation)
    const crashing = submit({ do: 'exit' })
    const next = submit({ do: 'echo' })
    await worker.start()
    await server.untilState(next, 'completed')
    assert.equal(errorOf(crashing).code, 'worker_crashed')
    assert.match(errorOf(crashing).message, /^The (thread|process) \d+ that ran the handler ended with exit code 3\.$/)
  })

  test(`[${isolation}] An error that nobody catches fails the job and is told.`, async (t) => {
    const { server, worker, submit } = setUp(t, isolation)
    const job = submit({ do: 'uncaught' })
    await worker.start()
    await server.untilState(job, 'dead')
    assert.equal(errorOf(job).code, 'worker_crashed')
    assert.match(errorOf(job).message, /ended by an uncaught error: nobody catches this\.$/)
    assert.match(errorOf(job).detail!, /tasks\.ts/)
  })

  test(`[${isolation}] A handler that computes for longer than its lease keeps the lease.`, async (t) => {
    const { server, worker, submit } = setUp(t, isolation, { leaseSeconds: 1 })
    const job = submit({ do: 'spin', milliseconds: 1_500 })
    await worker.start()
    await server.untilOutcomes(job, 1)
    assert.deepEqual(job.outcomes, ['completed'])
    assert.ok(server.callsOf('heartbeat').length >= 3, `${server.callsOf('heartbeat').length} heartbeats`)
  })

  test(`[${isolation}] A handler that ignores its timeout is ended, and its slot is free again.`, async (t) => {
    const { server, worker, log, submit } = setUp(t, isolation)
    const hangUps = await HangUps.listen(t)
    const job = submit({ do: 'hang', port: hangUps.port }, { timeoutSeconds: 0.2 })
    const next = submit({ do: 'echo' })
    await worker.start()
    await server.untilState(job, 'dead')
    assert.equal(errorOf(job).code, 'timeout')
    await hangUps.untilClosed()
    await server.untilState(next, 'completed')
    assert.deepEqual(log.matching(/handler goes on/), [])
  })

  test(`[${isolation}] Stopping ends a handler that does not obey, and gives its job back.`, async (t) => {
    const { server, worker, submit } = setUp(t, isolation)
    const hangUps = await HangUps.listen(t)
    const job = submit({ do: 'hang', port: hangUps.port })
    await worker.start()
    await hangUps.untilOpen()
    await worker.stop({ timeoutSeconds: 0 })
    await hangUps.untilClosed()
    assert.deepEqual(job.outcomes, ['released'])
    assert.equal(server.pollsWaiting, 0)
  })

  test(`[${isolation}] A module that cannot be used fails the start and says why.`, async (t) => {
    const broken = fileURLToPath(new URL('./handlers/broken.ts', import.meta.url))
    const nothing = fileURLToPath(new URL('./handlers/no-process.ts', import.meta.url))
    const start = (process: string): Promise<void> => setUp(t, isolation, { process }).worker.start()
    const isInvalid = (message: RegExp) => (error: { code: string; message: string }) => {
      assert.equal(error.code, 'module_invalid')
      assert.match(error.message, message)
      return true
    }
    await assert.rejects(
      start(broken),
      isInvalid(/^The module .*broken\.ts cannot be loaded: no database \(\S+broken\.ts, line 1\)$/),
    )
    await assert.rejects(
      start(nothing),
      isInvalid(/no-process\.ts does not export a function named "process"\. It exports handle, version\./),
    )
    await assert.rejects(
      start('/nowhere.ts'),
      isInvalid(/^The module \/nowhere\.ts cannot be loaded: Cannot find module [^(]+$/),
    )
  })

  test(`[${isolation}] A stop ends a start whose module takes for ever to load.`, async (t) => {
    const hangUps = await HangUps.listen(t)
    process.env.NEVER_LOADS = String(hangUps.port)
    t.after(() => delete process.env.NEVER_LOADS)
    const { worker } = setUp(t, isolation, { process: new URL('./handlers/never-loads.ts', import.meta.url) })
    const started = worker.start()
    await hangUps.untilOpen()
    await worker.stop()
    await started
    await hangUps.untilClosed()
    assert.equal(worker.id, null)
  })

  test(`[${isolation}] A child that crashes when it starts is started again, and no job is failed for it.`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'octoflow-'))
    const file = join(folder, 'trap')
    process.env.CRASH_AT_START = file
    t.after(() => {
      delete process.env.CRASH_AT_START
      return rm(folder, { recursive: true })
    })
    const { server, worker, log, submit } = setUp(t, isolation)
    const setting = submit({ do: 'trap', file })
    const next = submit({ do: 'echo' })
    await worker.start()
    await server.untilState(next, 'completed')
    assert.equal(errorOf(setting).code, 'worker_crashed')
    assert.match(String(log.matching(/No child can be started/)[0]?.fields.error), /ended with exit code 7/)
    assert.deepEqual(next.outcomes, ['completed'])
  })
}

test('[process] A handler that is killed fails its job with the signal.', async (t) => {
  const { server, worker, submit } = setUp(t, 'process')
  const job = submit({ do: 'kill' })
  const next = submit({ do: 'echo' })
  await worker.start()
  await server.untilState(next, 'completed')
  assert.equal(errorOf(job).code, 'worker_crashed')
  assert.match(errorOf(job).message, /^The process \d+ that ran the handler was killed by SIGKILL\.$/)
})

test('A child that is being killed is given no other job.', async () => {
  let listener: ChildListener | null = null
  const host = new Host((_href, told) => {
    listener = told
    return { label: 'child', send: () => undefined, kill: () => undefined }
  }, 'file:///handler.ts')
  listener!.message({ type: 'ready' })
  await host.ready
  assert.equal(host.alive, true)
  host.kill()
  assert.equal(host.alive, false)
  listener!.ended('was killed by SIGKILL', null)
  await host.ended
})

test('[inline] A module may be given by its path too, and is checked at the start.', async (t) => {
  const { server, worker, submit } = setUp(t, 'inline')
  const job = submit({ do: 'echo', milliseconds: 7 })
  await worker.start()
  await server.untilState(job, 'completed')
  assert.equal((job.result as Task).milliseconds, 7)
  const { worker: broken } = setUp(t, 'inline', { process: new URL('./handlers/no-process.ts', import.meta.url) })
  await assert.rejects(broken.start(), /does not export a function named "process"/)
})
