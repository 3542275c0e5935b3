import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  DAY,
  fromIso,
  HOUR,
  humanDuration,
  MAX_INSTANT,
  MILLISECOND,
  MIN_INSTANT,
  MINUTE,
  SECOND,
  seconds,
  toIso,
  toIsoOrNull,
  toMilliseconds,
} from '../../../src/lib/time.ts'
import { Random } from '../../conformance/random.ts'

const at = (...date: [number, number, number, number?, number?, number?]): number => Date.UTC(...date) * MILLISECOND

describe('toIso', () => {
  const written: readonly (readonly [number, string])[] = [
    [0, '1970-01-01T00:00:00.000Z'],
    [1, '1970-01-01T00:00:00.000001Z'],
    [999, '1970-01-01T00:00:00.000999Z'],
    [1_000, '1970-01-01T00:00:00.001Z'],
    [1_001, '1970-01-01T00:00:00.001001Z'],
    [-1, '1969-12-31T23:59:59.999999Z'],
    [-1_000, '1969-12-31T23:59:59.999Z'],
    [at(2024, 1, 29) + 120, '2024-02-29T00:00:00.000120Z'],
    [MAX_INSTANT, '2255-06-05T23:47:34.740991Z'],
    [MIN_INSTANT, '1684-07-28T00:12:25.259009Z'],
  ]
  for (const [instant, text] of written) test(`${instant} is written ${text}`, () => assert.equal(toIso(instant), text))

  test('what is not there is written as null', () => {
    assert.equal(toIsoOrNull(null), null)
    assert.equal(toIsoOrNull(0), '1970-01-01T00:00:00.000Z')
  })
})

describe('fromIso', () => {
  const read: Readonly<Record<string, number>> = {
    '1970-01-01': 0,
    '2024-02-29': at(2024, 1, 29),
    '2000-02-29': at(2000, 1, 29),
    '2024-12-31T23:59:59Z': at(2024, 11, 31, 23, 59, 59),
    '2024-05-06T07:08Z': at(2024, 4, 6, 7, 8),
    '2024-05-06T07:08': at(2024, 4, 6, 7, 8),
    '2024-05-06T07:08:09': at(2024, 4, 6, 7, 8, 9),
    '2024-05-06 07:08:09': at(2024, 4, 6, 7, 8, 9),
    '2024-05-06t07:08:09z': at(2024, 4, 6, 7, 8, 9),
    '2024-05-06T07:08:09.5Z': at(2024, 4, 6, 7, 8, 9) + 500_000,
    '2024-05-06T07:08:09.000001Z': at(2024, 4, 6, 7, 8, 9) + 1,
    '2024-05-06T07:08:09.1234567Z': at(2024, 4, 6, 7, 8, 9) + 123_456,
    '2024-05-06T07:08:09.999999999Z': at(2024, 4, 6, 7, 8, 9) + 999_999,
    '2024-05-06T07:08:09.5': at(2024, 4, 6, 7, 8, 9) + 500_000,
    '2024-05-06T07:08:09+02:00': at(2024, 4, 6, 5, 8, 9),
    '2024-05-06T07:08:09-0330': at(2024, 4, 6, 10, 38, 9),
    '2024-05-06T07:08+00:00': at(2024, 4, 6, 7, 8),
    '2024-05-06T07:08:09.25-00:00': at(2024, 4, 6, 7, 8, 9) + 250_000,
    '2024-01-01T00:30+01:00': at(2023, 11, 31, 23, 30),
    '2024-02-29T23:30-01:00': at(2024, 2, 1, 0, 30),
    '1969-12-31T23:59:59.999999Z': -1,
    '1999-12-31T23:59:59.999999+23:59': at(1999, 11, 31, 0, 0, 59) + 999_999,
  }
  for (const [text, instant] of Object.entries(read)) test(`${text} is read`, () => assert.equal(fromIso(text), instant))

  const refused = [
    '',
    'tomorrow',
    '2024',
    '2024-05',
    '20240506',
    '2024-5-6',
    '24-05-06',
    '12024-05-06',
    '+012024-05-06T00:00:00Z',
    '-002024-05-06T00:00:00Z',
    '2024-00-10',
    '2024-13-01',
    '2024-05-00',
    '2024-05-32',
    '2024-02-30',
    '2024-02-31',
    '2023-02-29',
    '1900-02-29',
    '2100-02-29T00:00:00Z',
    '2024-04-31',
    '2024-06-31T10:00:00+02:00',
    '2024-05-06T',
    '2024-05-06T07',
    '2024-05-06T07Z',
    '2024-05-06T7:08',
    '2024-05-06T24:00:00Z',
    '2024-05-06T25:00:00Z',
    '2024-05-06T07:60:00Z',
    '2024-05-06T07:08:60Z',
    '2024-05-06T07:08:09.Z',
    '2024-05-06T07:08:09,5Z',
    '2024-05-06T07:08:09.1234567890Z',
    '2024-05-06T07:08:09 Z',
    '2024-05-06T07:08:09ZZ',
    '2024-05-06T07:08:09+2',
    '2024-05-06T07:08:09+24:00',
    '2024-05-06T07:08:09+02:60',
    '2024-05-06T07:08:09 02:00',
    '2024-05-06Z',
    '2024-05-06+02:00',
    ' 2024-05-06',
    '2024-05-06 ',
    '2024-05-06T07:08:09Z\n',
    '٢٠٢٤-٠٥-٠٦',
  ]
  for (const text of refused) test(`${JSON.stringify(text)} is refused`, () => assert.equal(fromIso(text), null))

  test('what lies beyond the instants counts as the last or the first of them', () => {
    for (const late of [
      '9999-12-31T23:59:59.999999Z',
      '2255-06-05T23:47:34.740992Z',
      '9999-12-31T23:59:59-14:00',
      '2256-01-01',
    ])
      assert.equal(fromIso(late), MAX_INSTANT, late)
    for (const early of ['0000-01-01', '0001-01-01T00:00:00Z', '0000-01-01T00:00:00+14:00', '1684-07-28T00:12:25.259008Z'])
      assert.equal(fromIso(early), MIN_INSTANT, early)
  })

  test('the years 0 to 99 are not taken for those of the last century', () => {
    assert.equal(fromIso('0070-01-01'), MIN_INSTANT)
    assert.equal(fromIso('0024-02-29'), MIN_INSTANT)
    assert.equal(fromIso('0023-02-29'), null)
  })

  test('every day of four hundred years is a day of the calendar, and no other is', () => {
    let days = 0
    for (let year = 1800; year < 2200; year++)
      for (let month = 1; month <= 12; month++)
        for (let day = 1; day <= 31; day++)
          if (fromIso(`${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`) !== null) days++
    assert.equal(days, 146_097)
  })

  test('what was written is read back', () => {
    const random = new Random(1)
    for (let round = 0; round < 2_000; round++) {
      const instant = Math.round((random.next() * 2 - 1) * MAX_INSTANT)
      assert.equal(fromIso(toIso(instant)), instant)
    }
    for (const instant of [MIN_INSTANT, MAX_INSTANT, 0, -1, 1]) assert.equal(fromIso(toIso(instant)), instant)
  })
})

describe('durations', () => {
  test('seconds become whole microseconds, and microseconds milliseconds', () => {
    assert.equal(seconds(1.5), 1_500_000)
    assert.equal(seconds(0.000_000_4), 0)
    assert.equal(seconds(0.1 + 0.2), 300_000)
    assert.equal(toMilliseconds(1_500), 1.5)
  })

  const told: readonly (readonly [number, string])[] = [
    [0, '0 ms'],
    [400, '0 ms'],
    [850 * MILLISECOND, '850 ms'],
    [SECOND, '1 s'],
    [12.44 * SECOND, '12.4 s'],
    [MINUTE, '1 min'],
    [3 * MINUTE + 20 * SECOND, '3 min 20 s'],
    [HOUR, '1 h'],
    [2 * HOUR + 5 * MINUTE + 59 * SECOND, '2 h 5 min'],
    [DAY, '1 d'],
    [4 * DAY + 3 * HOUR, '4 d 3 h'],
    [1_000 * DAY, '1000 d'],
  ]
  for (const [duration, text] of told)
    test(`${duration} µs are told as ${text}`, () => assert.equal(humanDuration(duration), text))

  test('no duration is told as 60 of the smaller unit', () => {
    for (const duration of [SECOND - 1, MINUTE - 1, HOUR - 1, DAY - 1, 10 * MINUTE - 1])
      assert.doesNotMatch(humanDuration(duration), /\b(?:1000 ms|60 s|60 min|24 h)/)
  })
})
