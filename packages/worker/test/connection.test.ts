import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Connection, retryDelay } from '../src/connection.ts'
import { TransportError } from '../src/transport.ts'
import { ManualClock } from './support/manual-clock.ts'
import { RecordingLogger } from './support/recording-logger.ts'

const DOWN = new Error('down')

test('The pause doubles from 100 ms to 10 s, and up to half of it is left to chance.', () => {
  assert.deepEqual(
    [1, 2, 3, 8, 100].map((failures) => retryDelay(failures, 1)),
    [100, 200, 400, 10_000, 10_000],
  )
  assert.equal(retryDelay(1, 0), 50)
  assert.equal(retryDelay(1_000_000, 0), 5_000)
})

test('An outage is one, however many kinds of calls fail, and ends when all that failed succeed.', () => {
  const { connection, log } = create()
  const claims = connection.open('claiming jobs')
  const reports = connection.open('reporting outcomes')
  claims.failed(DOWN)
  reports.failed(DOWN)
  claims.failed(DOWN)
  claims.succeeded()
  assert.deepEqual(messages(log), ['The server cannot serve this worker; trying until it can.'])
  reports.succeeded()
  assert.deepEqual(messages(log).slice(1), ['The server serves this worker again.'])
  reports.succeeded()
  assert.equal(log.lines.length, 2)
})

test('A call that succeeds ends the pauses of the others, but not those that the server asked for.', async () => {
  const { connection, clock } = create()
  const claims = connection.open('claiming jobs')
  const ended: string[] = []
  const pause = (name: string, error: unknown): Promise<void> =>
    connection
      .open(name)
      .backOff(error)
      .then(() => void ended.push(name))
  const own = pause('own', DOWN)
  const asked = pause('asked', new TransportError('unavailable', 'overloaded', 'busy', { retryAfterMs: 5_000 }))
  claims.failed(DOWN)
  claims.succeeded()
  await own
  assert.deepEqual(ended, ['own'])
  await clock.advance(4_999)
  assert.deepEqual(ended, ['own'])
  await clock.advance(1)
  await asked
  assert.equal(clock.timers, 0)
})

test('A server that asks to be left alone for an hour is asked after a minute.', () => {
  const { connection } = create()
  const busy = new TransportError('unavailable', 'overloaded', 'busy', { retryAfterMs: 3_600_000 })
  assert.equal(connection.open('claiming jobs').failed(busy), 60_000)
})

test('A closed channel pauses no longer and is in no outage.', async () => {
  const { connection, clock, log } = create()
  const events = connection.open('sending events')
  const claims = connection.open('claiming jobs')
  const paused = events.backOff(DOWN)
  claims.failed(DOWN)
  events.close()
  await paused
  assert.equal(clock.timers, 0)
  claims.succeeded()
  assert.equal(messages(log).at(-1), 'The server serves this worker again.')
})

function create(): { connection: Connection; clock: ManualClock; log: RecordingLogger } {
  const clock = new ManualClock()
  const log = new RecordingLogger()
  return { connection: new Connection(clock, () => 1, log.logger), clock, log }
}

const messages = (log: RecordingLogger): string[] => log.lines.map(({ message }) => message)
