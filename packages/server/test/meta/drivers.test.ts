import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const SERVER = join(import.meta.dirname, '../..')

const drivers = readdirSync(join(SERVER, 'src/storage/drivers'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

test('There is at least one storage driver.', () => {
  assert.ok(drivers.includes('sqlite'))
})

for (const name of drivers) {
  test(`The storage driver ${name} is held against the contract by the conformance suite.`, () => {
    const path = join(SERVER, 'test/drivers', `${name}.test.ts`)
    assert.ok(existsSync(path), `test/drivers/${name}.test.ts is missing; sqlite.test.ts shows how it looks`)
    const text = readFileSync(path, 'utf8')
    assert.match(text, /^import \{ conformance \} from '\.\.\/conformance\/index\.ts'$/m)
    assert.match(text, /^conformance\(\{ name: /m)
  })
}
