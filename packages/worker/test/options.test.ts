import assert from 'node:assert/strict'
import { availableParallelism, hostname } from 'node:os'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { settingsOf, type WorkerOptions } from '../src/options.ts'
import { MemoryServer } from './support/memory-server.ts'

const VALID = { url: 'http://localhost:5000', authorizationKey: 'key', customValue: 'App', process: () => true }

const problemsOf = (options: object): string[] => {
  try {
    settingsOf(options as WorkerOptions)
  } catch (error) {
    assert.equal((error as { code: string }).code, 'options_invalid')
    return (error as Error).message.split('\n- ').slice(1)
  }
  return []
}

test('What is left out has a default.', () => {
  const settings = settingsOf({ ...VALID, authorizationKey: undefined })
  const { server, logger, process, ...rest } = settings
  assert.deepEqual(server, { url: new URL('http://localhost:5000'), authorizationKey: null })
  assert.deepEqual(rest, {
    queues: ['App'],
    isolation: 'inline',
    concurrency: availableParallelism(),
    leaseSeconds: 30,
    name: hostname(),
    signals: ['SIGINT', 'SIGTERM'],
    stopTimeoutMs: Infinity,
  })
})

test('A queue may be given by each of its names, or several at once.', () => {
  const { customValue, ...rest } = VALID
  assert.deepEqual(settingsOf({ ...rest, queue: 'a' }).queues, ['a'])
  assert.deepEqual(settingsOf({ ...rest, queues: ['a', 'b', 'a'] }).queues, ['a', 'b'])
  assert.deepEqual(problemsOf({ ...VALID, queue: 'a' }), ['customValue and queue mean the same: give one of them.'])
})

test('A module is given by a path from the current directory, an absolute path or a URL.', () => {
  const href = pathToFileURL(resolve('work.ts')).href
  for (const process of ['work.ts', './work.ts', resolve('work.ts'), href, new URL(href)])
    assert.equal(settingsOf({ ...VALID, process }).process, href)
})

test('An unknown option is refused, and the one that was meant is named.', () => {
  assert.deepEqual(problemsOf({ ...VALID, concurency: 4 }), ['There is no option concurency. Did you mean concurrency?'])
  assert.deepEqual(problemsOf({ ...VALID, customvalue: 'App' }), ['There is no option customvalue. Did you mean customValue?'])
  assert.deepEqual(problemsOf({ ...VALID, colour: 'red' }), ['There is no option colour.'])
})

test('All that is wrong is told at once.', () => {
  assert.deepEqual(problemsOf({ queues: [], concurrency: '8' }), [
    'queues must be a list of at least one queue name, not [].',
    "concurrency must be a whole number from 1 to 10000, not '8'.",
    'url is missing: the address of the server, such as http://localhost:5000.',
    'process is missing: the function that does the work, or the path of its module.',
  ])
})

const WRONG: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ url: 'localhost:5000' }, /^url must be the http or https address .*, not 'localhost:5000'\.$/],
  [{ url: 'http://user:pw@localhost' }, /without user and password/],
  [{ authorizationKey: 'secret\n' }, /^authorizationKey must be a key, which has no spaces and no line breaks\.$/],
  [{ authorizationKey: '' }, /^authorizationKey must be a key/],
  [{ customValue: '' }, /^customValue must be the name of a queue, 1 to 256 characters, not ''\.$/],
  [{ customValue: '\ud800' }, /^customValue must be the name of a queue/],
  [{ process: 7 }, /^process must be a function, or the path/],
  [{ process: new URL('http://x/y.ts') }, /^process must be a function, or the path/],
  [{ isolation: 'vm' }, /^isolation must be "inline", "thread" or "process", not 'vm'\.$/],
  [{ isolation: 'thread' }, /^isolation 'thread' needs the path of a module/],
  [{ concurrency: 0 }, /^concurrency must be a whole number/],
  [{ concurrency: 1.5 }, /^concurrency must be a whole number/],
  [{ leaseSeconds: 0.5 }, /^leaseSeconds must be a number of seconds from 1 to 86400, not 0\.5\.$/],
  [{ name: '' }, /^name must be a text of 1 to 200 characters/],
  [{ logger: console.log }, /^logger must be an object with the methods debug, info, warn and error/],
  [{ signals: 'SIGINT' }, /^signals must be true, false or a list/],
  [{ stopTimeoutSeconds: -1 }, /^stopTimeoutSeconds must be a number of seconds, 0 or more, not -1\.$/],
  [{ transport: {} }, /^transport must be an object with the methods claim, heartbeat, report and event/],
  [{ transport: new MemoryServer() }, /^transport replaces url and authorizationKey: give it alone\.$/],
]

for (const [wrong, message] of WRONG)
  test(`The option ${inspect(wrong, { depth: 1, breakLength: Infinity })} is refused.`, () => {
    assert.match(problemsOf({ ...VALID, ...wrong })[0] ?? 'nothing', message)
  })

test('Something else than an object is refused.', () => {
  assert.throws(() => settingsOf(null as unknown as WorkerOptions), /They must be an object, not null\./)
})
