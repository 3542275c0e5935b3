import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isOctoflowError, type OctoflowError } from '../../../src/errors/octoflow-error.ts'
import { handlersIn, resolveHandler } from '../../../src/handlers/handler-files.ts'
import { Directory } from '../../drivers/directory.ts'

const refused =
  (reason: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isOctoflowError(error, 'handler_invalid'))
    assert.match((error as OctoflowError).message, reason)
    return true
  }

test('The modules of a directory run the queues they are named after; what is no handler is left out.', async () => {
  await using directory = await Directory.make()
  const { path } = directory
  for (const name of [
    'emails.ts',
    'a.b.mjs',
    'with space.js',
    'odd.mts',
    '_shared.ts',
    '.hidden.ts',
    'types.d.ts',
    'types.d.mts',
    'emails.test.ts',
    'emails.spec.js',
    'README.md',
    'data.json',
  ])
    await writeFile(join(path, name), '')
  assert.deepEqual(handlersIn(path), [
    { queue: 'a.b', path: join(path, 'a.b.mjs') },
    { queue: 'emails', path: join(path, 'emails.ts') },
    { queue: 'odd', path: join(path, 'odd.mts') },
    { queue: 'with space', path: join(path, 'with space.js') },
  ])
})

test('Two files for one queue, or a directory that cannot be read, are refused.', async () => {
  await using directory = await Directory.make()
  await writeFile(join(directory.path, 'emails.ts'), '')
  await writeFile(join(directory.path, 'emails.js'), '')
  assert.throws(() => handlersIn(directory.path), refused(/another file is for the queue "emails" too/))
  assert.throws(() => handlersIn(join(directory.path, 'missing')), refused(/ENOENT/))
})

test('A handler that a queue names must be a file below the app’s root, symbolic links followed.', async () => {
  await using directory = await Directory.make()
  const { path } = directory
  const root = join(path, 'app')
  await mkdir(join(root, 'workers', '..dots'), { recursive: true })
  await writeFile(join(path, 'outside.ts'), '')
  await mkdir(join(path, 'app-too'))
  await writeFile(join(path, 'app-too', 'near.ts'), '')
  await writeFile(join(root, 'workers', 'a.ts'), '')
  await writeFile(join(root, 'workers', '..dots', 'b.ts'), '')
  await symlink(join(path, 'outside.ts'), join(root, 'workers', 'link.ts'))
  await symlink(join(root, 'workers', 'a.ts'), join(root, 'inner-link.ts'))
  await symlink(path, join(root, 'up'))
  assert.equal(resolveHandler(root, 'workers/a.ts'), join(root, 'workers/a.ts'))
  assert.equal(resolveHandler(root, './workers/../workers/a.ts'), join(root, 'workers/a.ts'))
  assert.equal(resolveHandler(root, 'workers/..dots/b.ts'), join(root, 'workers/..dots/b.ts'))
  assert.equal(resolveHandler(root, join(root, 'workers/a.ts')), join(root, 'workers/a.ts'))
  assert.equal(resolveHandler(root, 'inner-link.ts'), join(root, 'inner-link.ts'))
  for (const outside of [
    '../outside.ts',
    '../app-too/near.ts',
    'workers/link.ts',
    'up/outside.ts',
    join(path, 'outside.ts'),
    '/etc/passwd',
    '..',
    '.',
    '',
  ])
    assert.throws(() => resolveHandler(root, outside), refused(/it lies outside the app’s root/), outside)
  assert.throws(() => resolveHandler(root, 'workers'), refused(/it is not a file/))
  assert.throws(() => resolveHandler(root, 'workers/missing.ts'), refused(/ENOENT/))
})
