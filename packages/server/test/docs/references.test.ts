import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { references } from '../../../../scripts/references.ts'
import { catalogue } from '../../src/errors/catalogue.ts'
import { errorGroups } from '../../src/errors/reference.ts'
import { errorPage } from '../../src/http/plugins/error-page.ts'

const FOLDER = join(import.meta.dirname, '../../../../docs/reference')

const pages = await references()

for (const [name, text] of pages)
  test(`docs/reference/${name} is what the code says.`, () => {
    assert.equal(readFileSync(join(FOLDER, name), 'utf8'), text, 'it is out of date: npm run docs')
  })

test('Nothing else lies in docs/reference.', () => {
  assert.deepEqual(readdirSync(FOLDER).sort(), [...pages.keys()].sort())
})

test('Every error belongs to one group.', () => {
  const grouped = errorGroups().flatMap(({ entries }) => entries.map(([code]) => code))
  assert.deepEqual(grouped.toSorted(), Object.keys(catalogue).toSorted())
})

test('Every error has its anchor on the reference page and on the server’s page.', () => {
  const lines = pages.get('errors.md')!.split('\n')
  for (const code of Object.keys(catalogue)) {
    assert.equal(lines.filter((line) => line === `### ${code}`).length, 1, code)
    assert.equal(errorPage().split(`id="${code}"`).length, 2, code)
  }
})

test('Every route of the HTTP API says what it does, and every field what it takes.', () => {
  const rows = pages
    .get('http-api.md')!
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
    .map((line) => line.slice(2, -2).split(/ \| | \|$/))
  assert.ok(rows.length > 100)
  for (const [first, ...cells] of rows) for (const cell of cells.slice(0, 2)) assert.match(cell, /^\S/, `of ${first}`)
})
