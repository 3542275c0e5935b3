import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, countOf, prettyJson, shortTime, timeOfDay } from '../../src/cli/output/format.ts'
import { bar, Progress, StatusLine } from '../../src/cli/output/progress.ts'
import { Screen } from '../../src/cli/output/screen.ts'
import { fields, Table } from '../../src/cli/output/table.ts'
import { cut, displayWidth, manyLines, oneLine } from '../../src/cli/output/text.ts'
import { Output } from './support/command-line.ts'

test('Text of others is shown without anything that a terminal would obey.', () => {
  assert.equal(oneLine('a\r\n  b\tc\u001b[2J\u0007\u009b\u007f'), 'a b c␛[2J␇\ufffd␡')
  assert.equal(manyLines('a\r\n\tb\rc\u001b'), 'a\n  b␍c␛')
})

test('Widths count columns, not characters.', () => {
  assert.deepEqual(['abc', '日本', 'é', 'e\u0301', '👩‍👩‍👧', '🇩🇪', ''].map(displayWidth), [3, 4, 1, 1, 2, 2, 0])
  assert.equal(cut('abcdef', 4), 'abc…')
  assert.equal(cut('日本語', 4), '日…')
  assert.equal(cut('👩‍👩‍👧👩‍👩‍👧', 3), '👩‍👩‍👧…')
  assert.equal(cut('abc', 3), 'abc')
  assert.equal(cut('abc', 0), '')
})

test('JSON is shown indented unless that would change a number.', () => {
  assert.equal(prettyJson('{"a":[1,"x y"]}'), '{\n  "a": [\n    1,\n    "x y"\n  ]\n}')
  assert.equal(prettyJson('{"a":12345678901234567890}'), '{"a":12345678901234567890}')
  assert.equal(prettyJson('1.0'), '1.0')
})

test('Values are shown as people read them.', () => {
  assert.deepEqual([0, 1, 1_023, 1_536, 10 * 1024 ** 2].map(bytes), ['0 bytes', '1 byte', '1023 bytes', '1.5 KiB', '10 MiB'])
  assert.deepEqual([countOf(1, 'job'), countOf(1_200, 'job'), countOf(0, 'job')], ['1 job', '1,200 jobs', '0 jobs'])
  assert.equal(shortTime('2026-11-21T10:15:30.123456Z'), '2026-11-21 10:15:30Z')
  assert.equal(timeOfDay('2026-11-21T10:15:30.123456Z'), '10:15:30.123')
})

test('A table cuts nothing off where no terminal is.', () => {
  const output = new Output(undefined)
  new Table<string>(new Screen(output), [{ title: 'NAME', value: (name) => name, flexible: true }]).rows([
    'x'.repeat(500),
    '日本',
  ])
  assert.equal(output.text, `NAME\n${'x'.repeat(500)}\n日本\n`)
})

test('A table narrows flexible columns first, then leaves out optional ones.', () => {
  const columns = [
    { title: 'NAME', value: () => 'a name that is long', flexible: true },
    { title: 'NUMBER', value: () => 42, align: 'right' as const },
    { title: 'EXTRA', value: () => 'something', optional: 1 },
  ]
  const drawn = (width: number): string => {
    const output = new Output(width)
    new Table(new Screen(output), columns).rows([null])
    return output.text
  }
  assert.equal(drawn(80), 'NAME                 NUMBER  EXTRA\na name that is long      42  something\n')
  assert.equal(drawn(30), 'NAME         NUMBER  EXTRA\na name tha…      42  something\n')
  assert.equal(drawn(20), 'NAME          NUMBER\na name that…      42\n')
})

test('Fields without a value are left out.', () => {
  const output = new Output(undefined)
  fields(new Screen(output), [
    ['a', '1'],
    ['longer', '2'],
    ['none', null],
  ])
  assert.equal(output.text, '  a       1\n  longer  2\n')
})

test('Progress is a bar on a terminal that is taken away in the end.', () => {
  const output = new Output(80)
  const progress = new Progress(new Screen(output), { label: 'Submitting', unit: 'lines', shown: true })
  progress.update(1, 2)
  progress.end()
  assert.match(output.raw, /^\r.{3}Submitting {2}█{12}░{12} {2}1 of 2 lines\r.{3}$/s)
})

test('Progress shows how far it has got, though nothing more comes.', async () => {
  const output = new Output(80)
  const progress = new Progress(new Screen(output), { label: 'Submitting', unit: 'lines', shown: true })
  progress.update(1, 3)
  progress.update(2, 3)
  await output.until(/2 of 3 lines/)
  progress.end()
})

test('Progress is silent for short work elsewhere, and where only data is wanted.', () => {
  for (const [columns, shown] of [
    [undefined, true],
    [80, false],
  ] as const) {
    const output = new Output(columns)
    const progress = new Progress(new Screen(output), { label: 'x', unit: 'y', shown })
    progress.update(1, 2)
    progress.end()
    assert.equal(output.raw, '')
  }
})

test('A status line never wraps, and a bar stays within its ends.', () => {
  const output = new Output(20)
  new StatusLine(new Screen(output)).show('x'.repeat(100))
  assert.equal(displayWidth(output.text.replace(/^\r/, '')), 19)
  assert.deepEqual([bar(-1), bar(2)], ['░'.repeat(24), '█'.repeat(24)])
})
