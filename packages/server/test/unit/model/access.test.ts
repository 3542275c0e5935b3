import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { allows, greatestRole, inScope, isRole, ROLES } from '../../../src/model/access.ts'

describe('roles', () => {
  test('rise from viewer to admin, and each may what those before it may', () => {
    assert.deepEqual(ROLES, ['viewer', 'producer', 'worker', 'operator', 'admin'])
    for (const [index, role] of ROLES.entries())
      for (const [needed, name] of ROLES.entries()) assert.equal(allows(role, name), index >= needed, `${role} for ${name}`)
  })

  test('are known by their exact names', () => {
    for (const role of ROLES) assert.equal(isRole(role), true)
    for (const text of ['', 'Admin', 'root', 'admin ', 'toString', '0']) assert.equal(isRole(text), false)
  })

  test('the greatest of several counts, wherever it stands', () => {
    assert.equal(greatestRole([]), null)
    assert.equal(greatestRole(['viewer']), 'viewer')
    assert.equal(greatestRole(['producer', 'operator', 'viewer']), 'operator')
    assert.equal(greatestRole(['admin', 'viewer']), 'admin')
  })
})

describe('a queue scope', () => {
  test('of null covers every queue, and no queue', () => {
    assert.equal(inScope(null, 'emails'), true)
    assert.equal(inScope(null, null), true)
  })

  test('covers the queues it names, by their exact names, and nothing else', () => {
    assert.equal(inScope(['emails', 'reports'], 'reports'), true)
    for (const queue of ['Reports', 'report', 'reports ', '', null]) assert.equal(inScope(['emails', 'reports'], queue), false)
    assert.equal(inScope([], 'emails'), false)
  })
})
