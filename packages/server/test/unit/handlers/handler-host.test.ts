import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test as declare } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Dispatcher } from '../../../src/core/engine/dispatcher.ts'
import { Roster } from '../../../src/core/engine/roster.ts'
import { Work } from '../../../src/core/engine/work.ts'
import { Feed } from '../../../src/core/feed.ts'
import { Jobs } from '../../../src/core/jobs/jobs.ts'
import { Queues } from '../../../src/core/jobs/queues.ts'
import { isOctoflowError } from '../../../src/errors/octoflow-error.ts'
import { HandlerHost } from '../../../src/handlers/handler-host.ts'
import { SECOND } from '../../../src/lib/time.ts'
import type { JobState } from '../../../src/model/job.ts'
import { Directory } from '../../drivers/directory.ts'
import { ADMIN, type Core, openCore } from '../core/core.ts'

/** A handler that is never called fails its test and not the run. */
const test = (name: string, body: () => Promise<void>): void => void declare(name, { timeout: 30_000 }, body)

/** An app's root with handlers in `workers/` and others elsewhere. */
async function makeApp(files: Readonly<Record<string, string>>): Promise<Directory> {
  const directory = await Directory.make()
  for (const folder of ['workers', 'more']) await mkdir(join(directory.path, folder))
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory.path, name), text)
  return directory
}

const answering = (answer: string): string => `export const process = async ({ body }) => ({ by: '${answer}', got: body })\n`

/** A host of handlers, with the core that it stands on. */
async function host(core: Core, root: string) {
  const roster = await core.run(new Roster(core.ports))
  const dispatcher = await core.run(new Dispatcher(core.ports))
  const feed = new Feed(core.ports)
  const queues = new Queues(core.ports, roster)
  const parts = {
    work: new Work(core.ports, dispatcher, roster, feed),
    jobs: new Jobs(core.ports, roster, feed),
    queues,
  }
  const options = {
    appRoot: root,
    directory: join(root, 'workers'),
    isolation: 'inline',
    concurrency: 1,
    stopWithin: 5 * SECOND,
  } as const
  return {
    queues,
    handlers: new HandlerHost(parts, options, core.logger),
    useHandler: (queue: string, handler: string | null) => queues.configure(queue, { handler }, null, ADMIN),
  }
}

async function untilState(core: Core, id: number, state: JobState): Promise<void> {
  while ((await core.db.state(id)) !== state) await turn()
}

async function resultOf(core: Core, id: number): Promise<unknown> {
  await untilState(core, id, 'completed')
  const [result] = await core.storage.results.find({ jobIds: [id] })
  return JSON.parse(result!.value)
}

/** Resolves once the host runs these files. */
async function untilRunning(handlers: HandlerHost, expected: Readonly<Record<string, string>>): Promise<void> {
  const seen = (): string => JSON.stringify(handlers.files.map(({ queue, path }) => [queue, path]).sort())
  while (seen() !== JSON.stringify(Object.entries(expected).sort())) await turn()
}

test('Each module of the directory runs the jobs of its queue, and the result is kept.', async () => {
  await using app = await makeApp({ 'workers/a.ts': answering('a'), 'workers/b.mjs': answering('b') })
  await using core = await openCore()
  const { handlers } = await host(core, app.path)
  const early = await core.db.submit({ queue: 'a', body: '[1]' })
  await core.run(handlers)
  const late = await core.db.submit({ queue: 'b' })
  assert.deepEqual(await resultOf(core, early), { by: 'a', got: [1] })
  assert.deepEqual(await resultOf(core, late), { by: 'b', got: {} })
  assert.deepEqual(await core.db.counts('a'), { completed: 1 })
})

test('A handler that throws makes the attempt fail with its error.', async () => {
  await using app = await makeApp({ 'workers/a.ts': `export const process = () => { throw new Error('no such customer') }\n` })
  await using core = await openCore()
  await core.run((await host(core, app.path)).handlers)
  const id = await core.db.submit({ queue: 'a', maxAttempts: 1 })
  await untilState(core, id, 'dead')
  assert.equal((await core.storage.jobs.attempts({ id }))[0]!.error!.message, 'no such customer')
})

test('A queue that names a handler is run by it at once, then by another, then again by that of the directory.', async () => {
  const files = { 'workers/a.ts': answering('directory'), 'more/one.ts': answering('one'), 'more/two.ts': answering('two') }
  await using app = await makeApp(files)
  await using core = await openCore()
  const { handlers, useHandler } = await host(core, app.path)
  await core.run(handlers)
  for (const [handler, path, by] of [
    ['more/one.ts', 'more/one.ts', 'one'],
    ['more/two.ts', 'more/two.ts', 'two'],
    [null, 'workers/a.ts', 'directory'],
  ] as const) {
    await useHandler('a', handler)
    await untilRunning(handlers, { a: join(app.path, path) })
    assert.deepEqual(await resultOf(core, await core.db.submit({ queue: 'a' })), { by, got: {} })
  }
})

test('What queues name is run from the start, and no more once they name it no longer.', async () => {
  await using app = await makeApp({ 'more/one.ts': answering('one') })
  await using core = await openCore()
  const { handlers, useHandler } = await host(core, app.path)
  await useHandler('q', 'more/one.ts')
  await core.run(handlers)
  assert.deepEqual(await resultOf(core, await core.db.submit({ queue: 'q' })), { by: 'one', got: {} })
  await useHandler('q', null)
  await untilRunning(handlers, {})
})

test('What a queue names wrongly is logged and told as unusable until it is mended, and what ran its jobs before goes on.', async () => {
  await using app = await makeApp({ 'workers/a.ts': answering('directory') })
  await using core = await openCore()
  const { handlers, useHandler } = await host(core, app.path)
  await core.run(handlers)
  for (const handler of ['more/missing.ts', '../../etc/passwd']) await useHandler('a', handler)
  while (core.logger.troubles.length < 2) await turn()
  assert.deepEqual(core.logger.troubles, new Array(2).fill('the handler of a queue cannot be used'))
  assert.deepEqual([...handlers.unusable], [['a', '../../etc/passwd']])
  assert.deepEqual(await resultOf(core, await core.db.submit({ queue: 'a' })), { by: 'directory', got: {} })
  await useHandler('a', null)
  while (handlers.unusable.size > 0) await turn()
})

test('A module of the directory that is no handler stops the start.', async () => {
  await using app = await makeApp({ 'workers/a.ts': answering('a'), 'workers/b.ts': 'export const nothing = 1\n' })
  await using core = await openCore()
  const { handlers } = await host(core, app.path)
  await assert.rejects(handlers.start(), (error) => isOctoflowError(error, 'handler_invalid'))
  assert.deepEqual(handlers.files, [], 'those that could be started run no more')
})

test('A stop lets the job in hand finish and takes no other.', async () => {
  const slow = `export const process = async ({ body }) => { await globalThis[body.gate]; return 'done' }\n`
  await using app = await makeApp({ 'workers/a.ts': slow })
  await using core = await openCore()
  const gate = Promise.withResolvers<void>()
  const name = 'handler host test gate'
  Object.assign(globalThis, { [name]: gate.promise })
  const { handlers } = await host(core, app.path)
  await core.run(handlers)
  const body = JSON.stringify({ gate: name })
  const [first, second] = await core.db.submitAll([
    { queue: 'a', body },
    { queue: 'a', body },
  ])
  await untilState(core, first!, 'running')
  const stopped = handlers.stop()
  gate.resolve()
  await stopped
  assert.deepEqual([await core.db.state(first!), await core.db.state(second!)], ['completed', 'pending'])
})
