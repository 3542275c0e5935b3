import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TSchema, Type } from '@octoflow/protocol'
import { OctoflowError } from '../../../src/errors/octoflow-error.ts'
import { compileValidator, InvalidInput, misfit, validator } from '../../../src/http/validation.ts'

const Item = Type.Object({ name: Type.String({ minLength: 1 }) }, { additionalProperties: false })

const Body = Type.Object(
  {
    count: Type.Integer({ minimum: 1 }),
    mode: Type.Optional(Type.Enum(['fast', 'slow'])),
    nullable: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    items: Type.Optional(Type.Array(Item)),
    'odd/na~me': Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)

const wordsOf = (value: unknown, schema: TSchema = Body, part: 'body' | 'url' = 'body'): string[] =>
  validator(schema, part)(value).map(({ path, message }) => `${path} ${message}`.trim())

test('What fits has no misfits.', () => {
  assert.deepEqual(wordsOf({ count: 1, mode: 'fast', nullable: null, items: [{ name: 'a' }], 'odd/na~me': true }), [])
})

test('All that does not fit is told, each with its place.', () => {
  assert.deepEqual(wordsOf({ count: 0, mode: 'quick', items: [{ name: 'a' }, { name: '' }, {}], 'odd/na~me': 1 }), [
    'count must be >= 1',
    'mode must be one of fast, slow',
    'items[1].name must not be empty',
    'items[2].name is missing',
    'odd/na~me must be a boolean',
  ])
})

test('How long, how many and under which names is told in plain words.', () => {
  const Sizes = Type.Object({
    text: Type.String({ minLength: 2, maxLength: 3 }),
    list: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 2 }),
    names: Type.Unsafe({ type: 'object', propertyNames: { minLength: 1, maxLength: 2 }, minProperties: 1, maxProperties: 3 }),
  })
  assert.deepEqual(wordsOf({ text: 'a', list: [], names: {} }, Sizes), [
    'text must have at least 2 characters',
    'list must not be empty',
    'names must not be empty',
  ])
  assert.deepEqual(wordsOf({ text: 'abcd', list: [1, 2, 3], names: { a: 1, b: 1, '': 1, long: 1 } }, Sizes), [
    'text must have at most 3 characters',
    'list must have at most 2 items',
    'names must have at most 3 members',
    'names has the name "", which must not be empty',
    'names has the name "long", which must have at most 2 characters',
  ])
})

test('What is wrong as a whole is told without a place.', () => {
  for (const value of [null, 1, 'x', [], undefined]) assert.deepEqual(wordsOf(value), ['must be an object'])
})

test('A name that is not known is told with the one that may have been meant, if one is near.', () => {
  assert.deepEqual(wordsOf({ cuont: 1 }), ['count is missing', 'cuont is not known here; did you mean count?'])
  assert.deepEqual(wordsOf({ count: 1, temperature: 1 }), ['temperature is not known here'])
  assert.deepEqual(wordsOf({ count: 1, items: [{ name: 'a', nam: 'b' }] }), [
    'items[0].nam is not known here; did you mean name?',
  ])
})

test('Of a value that may be null, only what else it must be is told.', () => {
  assert.deepEqual(wordsOf({ count: 1, nullable: 7 }), ['nullable must be a string'])
})

test('In a body text is no number; in a URL, where all is text, it is read as one.', () => {
  const Query = Type.Object({ limit: Type.Integer({ maximum: 10 }), flag: Type.Optional(Type.Boolean()) })
  assert.deepEqual(wordsOf({ limit: '7' }, Query), ['limit must be an integer'])
  const query: Record<string, unknown> = { limit: '7', flag: 'true' }
  assert.deepEqual(wordsOf(query, Query, 'url'), [])
  assert.deepEqual(query, { limit: 7, flag: true })
  for (const limit of ['', '1.5', 'x', '11', '1e9', ' 7 x']) assert.equal(wordsOf({ limit }, Query, 'url').length, 1, limit)
})

test('An error names the first five misfits in its message and carries all, up to a hundred.', () => {
  const validate = compileValidator({ schema: Type.Array(Item), httpPart: 'body', method: 'POST', url: '/' })
  const { error } = validate(new Array(1_000).fill({})) as { error: InvalidInput }
  assert.ok(error instanceof InvalidInput && error instanceof OctoflowError)
  assert.equal(error.code, 'invalid_body')
  assert.equal(
    error.message,
    'The body does not fit: [0].name is missing; [1].name is missing; [2].name is missing; [3].name is missing; [4].name is missing.',
  )
  assert.equal(error.misfits.length, 100)
})

test('A query that does not fit is told to be the query.', () => {
  const validate = compileValidator({
    schema: Type.Object({ a: Type.String() }),
    httpPart: 'querystring',
    method: 'GET',
    url: '/',
  })
  assert.equal((validate({}) as { error: InvalidInput }).error.code, 'invalid_query')
  assert.deepEqual(validate({ a: 'x' }), { value: { a: 'x' } })
  assert.equal(misfit('query', 'step', 'is odd').message, 'The query does not fit: step is odd.')
  assert.equal(misfit('body', 'step', 'is odd').code, 'invalid_body')
})
