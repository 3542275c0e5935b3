import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import { describe, test } from 'node:test'
import { catalogue, type ErrorCode, type ErrorEntry } from '../../../src/errors/catalogue.ts'
import { isOctoflowError, OctoflowError } from '../../../src/errors/octoflow-error.ts'

const entries = Object.entries(catalogue) as [ErrorCode, ErrorEntry][]

const placeholders = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)

describe('the catalogue', () => {
  for (const [code, { status, message, hint }] of entries) {
    test(`${code} says what is wrong and how to mend it`, () => {
      assert.match(code, /^[a-z]+(?:_[a-z]+)*$/)
      assert.ok(status >= 400 && status <= 599 && status in STATUS_CODES, `${status} is an error’s status`)
      assert.match(message, /^[A-Z{].*(?:\.|\{problems\})$/s, 'the message is a sentence')
      assert.match(hint, /^(?:[A-Z`]|docs\/).*\.$/s, 'the hint is a sentence')
      assert.notEqual(hint, message)
    })
  }

  test('no two entries have the same message', () => {
    assert.equal(new Set(entries.map(([, { message }]) => message)).size, entries.length)
  })

  test('every placeholder is well formed', () => {
    for (const [code, { message, hint }] of entries)
      for (const text of [message, hint]) assert.equal(placeholders(text).length, text.split('{').length - 1, code)
  })

  test('a call that may be repeated does not say that the caller is at fault for good', () => {
    for (const [code, { status, retryable }] of entries)
      if (retryable) assert.ok(![400, 401, 403, 404, 405, 413, 415, 422, 431].includes(status), code)
  })
})

describe('OctoflowError', () => {
  test('fills in the details of its occurrence', () => {
    const error = new OctoflowError('job_finished', { id: 7, state: 'dead' })
    assert.equal(error.message, 'Job 7 is dead already.')
    assert.equal(error.code, 'job_finished')
    assert.deepEqual(error.details, { id: 7, state: 'dead' })
    assert.equal(error.name, 'OctoflowError')
    assert.ok(error instanceof Error)
  })

  test('fills in its hint too, and a detail as often as it is named', () => {
    const error = new OctoflowError('forbidden', { role: 'viewer', needed: 'admin' })
    assert.equal(error.message, 'The credential has the role viewer; this needs admin.')
    assert.equal(error.hint, 'Use a key with that role or a higher one; `octoflow keys create --role admin` makes one.')
  })

  test('leaves a detail that is not given as it stands', () => {
    assert.equal(new OctoflowError('job_finished', { id: 7 }).message, 'Job 7 is {state} already.')
    assert.equal(new OctoflowError('job_not_found').message, 'There is no job {id}.')
  })

  test('takes details for text, whatever is in them', () => {
    const message = (queue: string): string => new OctoflowError('queue_not_found', { queue }).message
    for (const queue of ['$&', '$1', '{queue}', '{id}', '"', '', '🐙'])
      assert.equal(message(queue), `There is no queue "${queue}".`)
  })

  test('writes numbers, truths and nothing as they are', () => {
    const message = (path: number | boolean | null): string => new OctoflowError('not_found', { path }).message
    assert.deepEqual([0, false, null].map(message), [
      'Nothing is served at 0.',
      'Nothing is served at false.',
      'Nothing is served at null.',
    ])
  })

  test('keeps its cause', () => {
    const cause = new Error('disk I/O error')
    assert.equal(new OctoflowError('storage_unavailable', {}, { cause }).cause, cause)
    assert.equal('cause' in new OctoflowError('storage_unavailable'), false)
  })

  test('has its entry of the catalogue', () => {
    assert.equal(new OctoflowError('storage_full').entry, catalogue.storage_full)
  })

  test('is told from other errors, and by its code', () => {
    const error: unknown = new OctoflowError('storage_full')
    assert.equal(isOctoflowError(error), true)
    assert.equal(isOctoflowError(error, 'lease_lost', 'storage_full'), true)
    assert.equal(isOctoflowError(error, 'lease_lost'), false)
    for (const other of [new Error('storage_full'), { code: 'storage_full' }, 'storage_full', null, undefined])
      assert.equal(isOctoflowError(other), false)
  })
})
