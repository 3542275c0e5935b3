import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Backoff, backoffDelay } from '../../../src/lib/backoff.ts'
import { SECOND } from '../../../src/lib/time.ts'
import { isFinished, JOB_STATES } from '../../../src/model/job.ts'
import { deadlineOf, expiry, type Outcome, type SettledJob, type Settlement, settle } from '../../../src/model/settle.ts'
import { next } from '../../../src/model/transitions.ts'

const NOW = 1_000 * SECOND
const BACKOFF: Backoff = { base: SECOND, factor: 2, max: 60 * SECOND, jitter: 0.5 }
const ERROR = { message: 'no route', code: null, detail: null }

const RUNNING: SettledJob = { state: 'running', attempt: 2, maxAttempts: 3, backoff: BACKOFF, cancelRequested: false }

const COMPLETED: Outcome = { kind: 'completed', result: null, handled: true }
const FAILED: Outcome = { kind: 'failed', error: ERROR, random: 0.25 }
const SNOOZED: Outcome = { kind: 'snoozed', delay: 30 * SECOND }
const RELEASED: Outcome = { kind: 'released' }
const CANCELLED: Outcome = { kind: 'cancelled', reason: 'superseded' }
const DISCARDED: Outcome = { kind: 'discarded', reason: 'no use', error: ERROR }
const LEASE_EXPIRED: Outcome = { kind: 'lease_expired' }
const ALL = [COMPLETED, FAILED, SNOOZED, RELEASED, CANCELLED, DISCARDED, LEASE_EXPIRED]

function settled(outcome: Outcome, job: Partial<SettledJob> = {}): Settlement {
  const settlement = settle({ ...RUNNING, ...job }, outcome, NOW)
  assert.ok(settlement)
  return settlement
}

describe('settle', () => {
  test('completes', () => {
    assert.deepEqual(settled(COMPLETED), {
      trigger: 'complete',
      state: 'completed',
      attempt: 2,
      runAt: null,
      reason: null,
      outcome: 'completed',
      error: null,
    })
  })

  test('has a failed job wait out its backoff while attempts are left', () => {
    const settlement = settled(FAILED)
    assert.deepEqual([settlement.trigger, settlement.state, settlement.attempt], ['retry', 'pending', 2])
    assert.equal(settlement.runAt, NOW + backoffDelay(BACKOFF, 2, 0.25))
    assert.equal(settlement.error, ERROR)
    assert.equal(settlement.reason, null)
  })

  test('buries a job whose last attempt failed', () => {
    for (const attempt of [3, 4]) {
      const { trigger, state, reason, runAt, error } = settled(FAILED, { attempt })
      assert.deepEqual([trigger, state, reason, runAt, error], ['bury', 'dead', 'attempts_exhausted', null, ERROR])
    }
  })

  test('has a snoozed job run later, and its attempt not count', () => {
    const { trigger, state, attempt, runAt } = settled(SNOOZED, { attempt: 3 })
    assert.deepEqual([trigger, state, attempt, runAt], ['snooze', 'pending', 2, NOW + 30 * SECOND])
  })

  test('has a released job run at once, and its attempt not count', () => {
    const { trigger, state, attempt, runAt } = settled(RELEASED, { attempt: 3 })
    assert.deepEqual([trigger, state, attempt, runAt], ['release', 'pending', 2, NOW])
  })

  test('cancels for the reason given', () => {
    const { trigger, state, reason } = settled(CANCELLED)
    assert.deepEqual([trigger, state, reason], ['cancel', 'cancelled', 'superseded'])
  })

  test('buries a discarded job however many attempts are left', () => {
    const { trigger, state, reason, error } = settled(DISCARDED, { attempt: 1 })
    assert.deepEqual([trigger, state, reason, error], ['bury', 'dead', 'no use', ERROR])
  })

  test('takes a job back whose lease ran out, and buries it after the last attempt', () => {
    const back = settled(LEASE_EXPIRED)
    assert.deepEqual([back.trigger, back.state, back.attempt, back.runAt], ['rescue', 'pending', 2, NOW])
    assert.equal(back.error?.code, 'lease_expired')
    const last = settled(LEASE_EXPIRED, { attempt: 3 })
    assert.deepEqual([last.trigger, last.state, last.reason], ['bury', 'dead', 'lease_expired'])
    assert.equal(last.error?.code, 'lease_expired')
  })

  test('counts a lease that ran out as a failure by time-out from its deadline on', () => {
    const deadline = deadlineOf(NOW, 60 * SECOND)
    assert.equal(deadline, NOW + 65 * SECOND)
    assert.equal(expiry(deadline, deadline - 1).kind, 'lease_expired')
    assert.equal(expiry(null, deadline).kind, 'lease_expired')
    const timedOut = expiry(deadline, deadline)
    assert.equal(timedOut.kind === 'failed' && timedOut.error.code, 'timeout')
  })

  for (const outcome of [FAILED, SNOOZED, RELEASED, LEASE_EXPIRED]) {
    test(`cancels a job that would run again where that was requested: ${outcome.kind}`, () => {
      for (const attempt of [1, 3]) {
        const { trigger, state, runAt, attempt: counted } = settled(outcome, { cancelRequested: true, attempt })
        assert.deepEqual([trigger, state, runAt, counted], ['cancel', 'cancelled', null, attempt])
      }
    })
  }

  for (const outcome of [COMPLETED, DISCARDED]) {
    test(`a requested cancel changes nothing for a job that has ended: ${outcome.kind}`, () => {
      assert.deepEqual(settled(outcome, { cancelRequested: true }), settled(outcome))
    })
  }

  test('keeps the name of the outcome, whatever becomes of the job', () => {
    for (const outcome of ALL)
      for (const cancelRequested of [false, true])
        for (const attempt of [1, 3]) assert.equal(settled(outcome, { cancelRequested, attempt }).outcome, outcome.kind)
  })

  test('allows exactly what the state machine allows', () => {
    for (const outcome of ALL)
      for (const state of JOB_STATES)
        for (const cancelRequested of [false, true])
          for (const attempt of [1, 3]) {
            const { trigger } = settled(outcome, { cancelRequested, attempt })
            const settlement = settle({ ...RUNNING, state, cancelRequested, attempt }, outcome, NOW)
            assert.equal(settlement?.state ?? null, next(trigger, state))
          }
  })

  test('only a job that is pending again has a time to run', () => {
    for (const outcome of ALL)
      for (const cancelRequested of [false, true])
        for (const attempt of [1, 3]) {
          const { state, runAt } = settled(outcome, { cancelRequested, attempt })
          assert.equal(runAt !== null, !isFinished(state))
        }
  })

  test('a pending job may be completed, buried and cancelled late, and nothing else', () => {
    const pending = { ...RUNNING, state: 'pending' } as const
    const states = ALL.map((outcome) => settle(pending, outcome, NOW)?.state ?? null)
    assert.deepEqual(states, ['completed', null, null, null, 'cancelled', 'dead', null])
  })
})
