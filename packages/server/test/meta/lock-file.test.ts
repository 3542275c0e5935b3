import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

interface LockedPackage {
  readonly version?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

const ROOT = join(import.meta.dirname, '../../../..')

/** npm leaves out what it cannot fetch where it writes the file, and then refuses the file: `npm ci` wants every platform. */
test('The lock file has the packages of every platform, or npm ci would refuse it.', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, LockedPackage>>
  }
  const optional = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).map((name) => ({ path, name })),
  )
  assert.ok(optional.length > 0)
  const missing = optional.filter(({ path, name }) => !places(path, name).some((place) => place in packages))
  assert.deepEqual(missing, [])
})

test('Every dependency of ours is an exact version, here and in what we publish.', () => {
  const files = ['package.json', ...globSync('packages/*/package.json', { cwd: ROOT })]
  const loose = files.flatMap((file) => {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as Manifest
    return Object.entries({ ...dependencies, ...devDependencies })
      .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
      .map(([name, version]) => `${file}: ${name} ${version}`)
  })
  assert.ok(files.length >= 4)
  assert.deepEqual(loose, [])
})

/** Where a package finds another, from the nearest place to the root. */
function places(path: string, name: string): readonly string[] {
  const parents = path.split('/node_modules/').map((_, index, parts) => parts.slice(0, index + 1).join('/node_modules/'))
  return [...parents.toReversed().map((parent) => `${parent}/node_modules/${name}`), `node_modules/${name}`]
}
