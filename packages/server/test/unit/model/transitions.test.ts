import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isFinished, JOB_STATES, type JobState } from '../../../src/model/job.ts'
import { next, type Transition, type Trigger, toMermaid, transitions } from '../../../src/model/transitions.ts'

const table: Readonly<Record<Trigger, readonly Transition[]>> = transitions
const triggers = Object.keys(transitions) as Trigger[]
const rows = triggers.flatMap((trigger) => table[trigger].map((row) => ({ trigger, ...row })))

describe('the state machine of a job', () => {
  test('is this, and no more', () => {
    assert.deepEqual(
      rows.map(({ trigger, from, to }) => `${trigger}: ${from} → ${to}`),
      [
        'claim: pending → running',
        'complete: running → completed',
        'complete: pending → completed',
        'retry: running → pending',
        'snooze: running → pending',
        'release: running → pending',
        'rescue: running → pending',
        'bury: running → dead',
        'bury: pending → dead',
        'cancel: pending → cancelled',
        'cancel: running → cancelled',
        'rerun: completed → pending',
        'rerun: cancelled → pending',
        'rerun: dead → pending',
      ],
    )
  })

  test('every trigger leads from every state where the table says, else nowhere', () => {
    for (const trigger of triggers)
      for (const from of JOB_STATES)
        assert.equal(next(trigger, from), rows.find((row) => row.trigger === trigger && row.from === from)?.to ?? null)
  })

  test('no trigger leads to two states from one', () => {
    const starts = rows.map(({ trigger, from }) => `${trigger} ${from}`)
    assert.equal(new Set(starts).size, starts.length)
  })

  test('a finished job leaves its state only by being run again', () => {
    for (const { trigger, from } of rows) if (isFinished(from)) assert.equal(trigger, 'rerun')
  })

  test('every state can be reached and left', () => {
    const reached = new Set<JobState>(['pending'])
    for (let before = 0; before < reached.size; ) {
      before = reached.size
      for (const { from, to } of rows) if (reached.has(from)) reached.add(to)
    }
    assert.deepEqual([...reached].sort(), [...JOB_STATES].sort())
    for (const state of JOB_STATES) assert.ok(rows.some(({ from }) => from === state))
  })

  test('every transition says when it happens', () => {
    for (const { when } of rows) assert.ok(when.length > 10 && !when.endsWith('.'))
  })

  test('the diagram has an arrow for each transition, and one for the beginning', () => {
    const lines = toMermaid().split('\n')
    assert.equal(lines[0], 'stateDiagram-v2')
    assert.equal(lines.length, rows.length + 2)
    assert.ok(lines.includes('  [*] --> pending: submit'))
    for (const { trigger, from, to } of rows) assert.ok(lines.includes(`  ${from} --> ${to}: ${trigger}`))
  })

  test('completed, cancelled and dead are finished, and nothing else is', () => {
    assert.deepEqual(JOB_STATES.filter(isFinished), ['completed', 'cancelled', 'dead'])
  })
})
