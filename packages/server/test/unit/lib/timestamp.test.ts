import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromIso } from '../../../src/lib/time.ts'
import { readTimestamp } from '../../../src/lib/timestamp.ts'

const WRITTEN: Readonly<Record<string, string>> = {
  '2024-01-01T13:45:10Z': '2024-01-01T13:45:10Z',
  '2024-01-01T13:45:10.000Z': '2024-01-01T13:45:10.000Z',
  '2024-01-01t13:45:10.5z': '2024-01-01T13:45:10.5Z',
  '2024-01-01 13:45': '2024-01-01T13:45:00Z',
  '2024-01-01': '2024-01-01T00:00:00Z',
  '2024-03-01T00:00:00.123456789+01:00': '2024-02-29T23:00:00.123456789Z',
  '2023-12-31T23:59:59.9-0001': '2024-01-01T00:00:59.9Z',
  '0000-01-01T00:00:00.1-01:00': '0000-01-01T01:00:00.1Z',
  '0099-12-31T23:30:00-01:00': '0100-01-01T00:30:00Z',
  '9999-12-31T23:59:59Z': '9999-12-31T23:59:59Z',
}

for (const [text, expected] of Object.entries(WRITTEN))
  test(`${text} is given back as ${expected}`, () => {
    assert.deepEqual(readTimestamp(text), { at: fromIso(text), text: expected })
  })

for (const text of [
  '',
  'now',
  '2024-02-30',
  '2024-01-01T24:00',
  '2024-01-01T1:00Z',
  '0000-01-01T00:00:00+01:00',
  '9999-12-31T23:59:59-01:00',
])
  test(`"${text}" is no timestamp`, () => assert.equal(readTimestamp(text), null))
