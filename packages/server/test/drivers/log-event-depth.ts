import assert from 'node:assert/strict'
import { MINUTE, SECOND } from '../../src/lib/time.ts'
import type { LogEventFilter } from '../../src/model/log-event.ts'
import { STEPPED_OVER_AT_MOST } from '../../src/storage/contract/log-events.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { logEvent, NOW, range } from '../conformance/harness.ts'

const BATCH = 1_000

/** More events than are stepped over, of one minute and with one value in a field: no roll-up leads near those at the end. */
export async function stepTooFar(storage: Storage): Promise<void> {
  await storage.migrations.migrate({ now: NOW })
  const minute = NOW - (NOW % MINUTE)
  const count = STEPPED_OVER_AT_MOST + 2
  const numbers = range(0, count - 1)
  for (const first of range(0, Math.ceil(count / BATCH) - 1).map((batch) => batch * BATCH))
    await storage.logEvents.append({
      events: numbers.slice(first, first + BATCH).map((n) => logEvent({ id: `${n}`, at: minute + SECOND + n })),
    })
  const filters: readonly LogEventFilter[] = [{}, { type: 'user' }, { since: minute + SECOND }, { fields: { username: 'ann' } }]
  for (const filter of filters) {
    const list = (after: number) => storage.logEvents.list({ filter, order: 'asc', after, limit: 1 })
    const last = await list(STEPPED_OVER_AT_MOST)
    assert.deepEqual([last.events[0]?.id, last.next?.at], [`${STEPPED_OVER_AT_MOST}`, minute + SECOND + STEPPED_OVER_AT_MOST])
    await assert.rejects(list(STEPPED_OVER_AT_MOST + 1), { code: 'skip_too_far' }, JSON.stringify(filter))
  }
}
