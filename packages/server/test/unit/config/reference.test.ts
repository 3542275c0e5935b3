import assert from 'node:assert/strict'
import { test } from 'node:test'
import { meaninglessVariables, standIns, unusedVariables } from '../../../src/config/old-names.ts'
import { configReference } from '../../../src/config/reference.ts'
import { settingFor, settingKeys, settings } from '../../../src/config/settings.ts'
import { ownVariable } from '../../../src/config/variables.ts'

const lines = configReference().split('\n')
const rowOf = (key: string): readonly string[] =>
  cells(lines.find((line) => line.startsWith(`| \`${key}\``)) ?? assert.fail(key))
const cells = (line: string): readonly string[] => line.slice(2, -2).split(' | ')

test('every section has a table', () => {
  for (const section of Object.keys(settings)) {
    const start = lines.indexOf(`## ${section}`)
    assert.deepEqual(lines.slice(start + 1, start + 4), [
      '',
      '| Setting | Variables and flag | Default | Meaning |',
      '| --- | --- | --- | --- |',
    ])
  }
})

test('every setting has a row with its variables, its flag, its default and its meaning', () => {
  for (const key of settingKeys) {
    const { env = [], flag, description, type } = settingFor(key)
    const [, variables, , meaning] = rowOf(key)
    const names = [...env, ownVariable(key), ...(flag === undefined ? [] : [flag])]
    assert.equal(variables, names.map((name) => `\`${name}\``).join(', '))
    assert.ok(meaning?.startsWith(`${description} Expects ${type.expected}.`), key)
  }
  assert.equal(rowOf('server.port')[2], '`5000`')
  assert.equal(rowOf('server.bodyLimit')[2], '`1 MiB`')
  assert.equal(rowOf('server.corsOrigins')[2], 'none')
  assert.equal(rowOf('jobs.retentionDays')[2], 'for ever')
  assert.equal(rowOf('server.key')[2], 'not set')
})

test('every alias, stand-in and variable without effect has a row', () => {
  for (const key of settingKeys)
    for (const name of settingFor(key).env ?? []) assert.deepEqual(rowOf(name), [`\`${name}\``, `\`${key}\``])
  for (const { names, key } of standIns) assert.equal(rowOf(names[0]!)[1], `\`${key}\``)
  for (const name of [...Object.keys(meaninglessVariables), ...Object.keys(unusedVariables)])
    assert.equal(rowOf(name).length, 2)
})

test('descriptions are whole sentences', () => {
  for (const key of settingKeys) assert.match(settingFor(key).description, /^\S.*\.$/, key)
})

test('the page says nothing of the machine it is made on, and has no empty cell', () => {
  const page = configReference()
  assert.ok(!page.includes(process.cwd()))
  assert.doesNotMatch(page, /\| +\|/)
  assert.ok(page.endsWith('|\n'))
})
