import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Owner, temporaryDirectory } from '../support/owner.ts'
import { Journal, monotonicNow, mostAtOnce, readJournal } from './support/journal.ts'
import { assertNeverAtOnce } from './support/verify.ts'

/** Two workers and what they note in one file. */
function twoWorkers(owner: Owner): { readonly path: string; readonly a: Journal; readonly b: Journal } {
  const path = join(temporaryDirectory(owner), 'journal')
  return { path, a: new Journal(path, 'a'), b: new Journal(path, 'b') }
}

const job = (id: number, key: string | null = null) => ({ job: id, attempt: 1, queue: 'crash-three', key })

describe('The journal', () => {
  test('shows attempts one after the other as such.', (t) => {
    const { path, a, b } = twoWorkers(t)
    a.end(a.begin(job(1)), 'done')
    b.end(b.begin(job(1)), 'done')
    const attempts = readJournal(path)
    assert.deepEqual(
      attempts.map(({ run, conclusion }) => [run, conclusion]),
      [
        ['a/1', 'done'],
        ['b/1', 'done'],
      ],
    )
    assert.equal(mostAtOnce(attempts), 1)
    assertNeverAtOnce(attempts)
  })

  test('shows a job that ran beside itself.', (t) => {
    const { path, a, b } = twoWorkers(t)
    const first = a.begin(job(1))
    pass()
    const second = b.begin(job(1))
    pass()
    a.end(first, 'done')
    b.end(second, 'done')
    assert.throws(() => assertNeverAtOnce(readJournal(path)), /jobs that ran twice at once/)
  })

  test('shows a key with more jobs running than it may have.', (t) => {
    const { path, a, b } = twoWorkers(t)
    const runs = [1, 2, 3].map((id) => a.begin(job(id, 'k')))
    pass()
    assertNeverAtOnce(closed(path))
    runs.push(b.begin(job(4, 'k')))
    pass()
    for (const run of runs) (run.startsWith('a') ? a : b).end(run, 'done')
    assert.throws(() => assertNeverAtOnce(readJournal(path)), /4 jobs ran at once, and 3 may/)
  })

  test('lets what a killed worker had in hand end when it was killed, not later.', (t) => {
    const { path, a, b } = twoWorkers(t)
    a.begin(job(1))
    pass()
    const killedAt = monotonicNow()
    pass()
    b.end(b.begin(job(1)), 'done')
    assertNeverAtOnce(readJournal(path, new Map([['a', killedAt]])))
    assert.throws(() => assertNeverAtOnce(readJournal(path, new Map([['a', monotonicNow()]]))), /ran twice at once/)
    assert.throws(() => assertNeverAtOnce(readJournal(path)), /attempts that never ended/)
  })
})

/** Lets the clock move on, so that what comes next is later by more than a microsecond. */
function pass(): void {
  const begun = monotonicNow()
  while (monotonicNow() <= begun + 1);
}

/** What the journal would show if all that runs ended now. */
const closed = (path: string): ReturnType<typeof readJournal> =>
  readJournal(path).map((attempt) =>
    attempt.end === Infinity ? { ...attempt, end: monotonicNow(), conclusion: 'done' } : attempt,
  )
