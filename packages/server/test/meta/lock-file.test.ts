import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

interface LockedPackage {
  readonly version?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const LOCK_FILE = new URL('../../../../package-lock.json', import.meta.url)

/** npm leaves out what it cannot fetch where it writes the file, and then refuses the file: `npm ci` wants every platform. */
test('The lock file has the packages of every platform, or npm ci would refuse it.', () => {
  const { packages } = JSON.parse(readFileSync(LOCK_FILE, 'utf8')) as { packages: Readonly<Record<string, LockedPackage>> }
  const optional = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).map((name) => ({ path, name })),
  )
  assert.ok(optional.length > 0)
  const missing = optional.filter(({ path, name }) => !places(path, name).some((place) => place in packages))
  assert.deepEqual(missing, [])
})

/** Where a package finds another, from the nearest place to the root. */
function places(path: string, name: string): readonly string[] {
  const parents = path.split('/node_modules/').map((_, index, parts) => parts.slice(0, index + 1).join('/node_modules/'))
  return [...parents.toReversed().map((parent) => `${parent}/node_modules/${name}`), `node_modules/${name}`]
}
