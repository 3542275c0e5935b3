import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { exampleOf, fieldsOf, type Schema, shape, typeInWords } from '../../src/http/reference-schemas.ts'

describe('A schema in the reference', () => {
  const words: readonly (readonly [schema: Schema, words: string])[] = [
    [{ type: 'integer', minimum: 0, maximum: 9 }, 'integer from 0 to 9'],
    [{ type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER }, 'positive integer'],
    [{ type: 'number', exclusiveMinimum: 0, maximum: 1000 }, 'number above 0, at most 1,000'],
    [{ type: 'number', minimum: 0.05 }, 'number, at least 0.05'],
    [{ type: 'number', maximum: 60 }, 'number, at most 60'],
    [{ type: 'number' }, 'number'],
    [{ type: 'string', minLength: 1, maxLength: 1024 }, 'text of up to 1,024 characters'],
    [{ type: 'string', format: 'date-time' }, 'time'],
    [{ enum: ['asc', 'desc'] }, '`asc` or `desc`'],
    [{ const: 'job' }, '`job`'],
    [{ anyOf: [{ type: 'string' }, { type: 'null' }] }, 'text or null'],
    [{ type: 'array', maxItems: 1000, items: { type: 'object' } }, 'list of up to 1,000 objects'],
    [{ type: 'array', items: { type: 'integer', minimum: 1 } }, 'list of positive integers'],
    [{ type: 'array' }, 'list of JSON values'],
    [{ description: 'Anything.' }, 'any JSON value'],
  ]
  for (const [schema, expected] of words)
    test(`is put into words: ${expected}`, () => {
      assert.equal(typeInWords(schema), expected)
    })

  const item: Schema = { type: 'object', required: ['id'], properties: { id: { type: 'integer', examples: [12] } } }
  const nullable: Schema = { anyOf: [item, { type: 'null' }] }

  test('shows the fields inside its fields under their whole names.', () => {
    const fields = fieldsOf({ properties: { jobs: { type: 'array', items: item }, last: nullable }, required: ['jobs'] })
    assert.deepEqual(
      fields.map(({ name, required }) => [name, required]),
      [
        ['jobs', true],
        ['jobs[].id', true],
        ['last', false],
        ['last.id', true],
      ],
    )
  })

  test('does not show again what is known.', () => {
    const fields = fieldsOf({ properties: { jobs: { type: 'array', items: item } } }, item)
    assert.deepEqual(
      fields.map(({ name }) => name),
      ['jobs'],
    )
  })

  test('is drawn by the names of its fields.', () => {
    const list = { properties: { items: { type: 'array', items: item }, last: nullable, next: { type: 'string' } } }
    assert.equal(shape(list), '{ items: [{ id }], last: { id }, next }')
  })

  test('has an example where every field that is needed has one.', () => {
    assert.deepEqual(exampleOf(item), { id: 12 })
    assert.equal(exampleOf({ ...item, required: ['id', 'name'] }), undefined)
    assert.deepEqual(exampleOf({ ...item, examples: [{ id: 1 }] }), { id: 1 })
  })
})
