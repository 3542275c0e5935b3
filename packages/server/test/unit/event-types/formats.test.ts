import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FORMATS } from '../../../src/event-types/formats.ts'

const ADDRESSES = [
  'my_user@email.com',
  'a@b.cd',
  'first.last+tag@sub.domain.example',
  "o'hara!#$%&*/=?^_`{|}~-@x.io",
  'jörg@größe.example',
  '用户@例子.中国',
  'a@xn--mgbh0fb.xn--kgbechtv',
  '1@2.example',
  `${'x'.repeat(64)}@email.com`,
]

const NONE = [
  '',
  '@',
  'a',
  'a@',
  '@b.cd',
  'a@b',
  'a@@b.cd',
  'a@b@c.de',
  '.a@b.cd',
  'a.@b.cd',
  'a..a@b.cd',
  'a a@b.cd',
  'a@b .cd',
  'a@b..cd',
  'a@.b.cd',
  'a@b.cd.',
  'a@-b.cd',
  'a@b-.cd',
  'a@b_c.de',
  'a@1.2.3.4',
  'a@[1.2.3.4]',
  '"a"@b.cd',
  'a,b@c.de',
  'a@b.cd\n',
  '\ud800@b.cd',
  `${'x'.repeat(65)}@b.cd`,
  `a@${'x'.repeat(64)}.cd`,
  `a@${'x.'.repeat(130)}cd`,
]

test('What is an e-mail address is known as one, and nothing else.', () => {
  for (const text of ADDRESSES) assert.equal(FORMATS.email!(text), true, text)
  for (const text of NONE) assert.equal(FORMATS.email!(text), false, text)
})

test('A text made to keep the check busy does not.', () => {
  for (const text of [
    'a'.repeat(1e6),
    `${'a.'.repeat(5e5)}@`,
    `a@${'b.'.repeat(5e5)}`,
    '@'.repeat(1e6),
    `${'a-'.repeat(120)}@b`,
  ])
    assert.equal(FORMATS.email!(text), false)
})

test('Dates and times are those of the calendar.', () => {
  assert.deepEqual(['2024-02-29', '2023-02-29', '2024-02-29T00:00:00Z'].map(FORMATS.date!), [true, false, false])
  assert.deepEqual(['2024-02-29', '2024-02-29T00:00:00Z', '2024-02-29T25:00:00Z'].map(FORMATS['date-time']!), [
    false,
    true,
    false,
  ])
})
