import { type Static, Type } from './type.ts'

/** Shapes that several routes share. Times are ISO 8601 in UTC, durations are seconds. */

export const Id = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, examples: [12] })

export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-21T10:15:30.123Z'] })

export const NullableTimestamp = Type.Union([Timestamp, Type.Null()])

/** Text that every database can store and every URL can carry: without halves of characters (lone surrogates). */
export const WELL_FORMED = '^\\P{Cs}*$'

export const QueueName = Type.String({ minLength: 1, maxLength: 256, pattern: WELL_FORMED, examples: ['emails'] })

export const Priority = Type.Integer({ minimum: 0, maximum: 9, description: '0 is the most urgent, 9 the least.' })

/** A key under which jobs meet: unique keys, concurrency keys. */
export const Key = Type.String({ minLength: 1, maxLength: 256, pattern: WELL_FORMED })

export const Labels = Type.Unsafe<Readonly<Record<string, string>>>({
  type: 'object',
  propertyNames: { minLength: 1, maxLength: 64, pattern: '^[^=\\p{Cs}]*$' },
  additionalProperties: { type: 'string', maxLength: 256, pattern: WELL_FORMED },
  maxProperties: 32,
  description: 'Names and values to find the job by.',
  examples: [{ customer: '42' }],
})
export type Labels = Static<typeof Labels>

export const Backoff = Type.Object(
  {
    baseSeconds: Type.Number({ minimum: 0, maximum: 86_400, description: 'The wait after the first failure.' }),
    factor: Type.Number({ minimum: 1, maximum: 10, description: 'Each further wait is this many times the one before.' }),
    maxSeconds: Type.Number({ minimum: 0, maximum: 2_592_000, description: 'No wait is longer.' }),
    jitter: Type.Number({ minimum: 0, maximum: 1, description: 'The share of a wait that is random.' }),
  },
  { additionalProperties: false, examples: [{ baseSeconds: 5, factor: 2, maxSeconds: 3600, jitter: 0.2 }] },
)
export type Backoff = Static<typeof Backoff>

export const JobError = Type.Object({
  message: Type.String(),
  code: Type.Union([Type.String(), Type.Null()]),
  detail: Type.Union([Type.String(), Type.Null()]),
})
export type JobError = Static<typeof JobError>

export const JobState = Type.Enum(['pending', 'running', 'completed', 'cancelled', 'dead'])
export type JobState = Static<typeof JobState>

/** An error answer, RFC 9457. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'Where the error is documented.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; see docs/reference/errors.md.' }),
    detail: Type.String({ description: 'What is wrong and where.' }),
    hint: Type.String({ description: 'How to mend it.' }),
    instance: Type.Optional(Type.String({ description: 'The id of the request, as in the log.' })),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), {
        description: 'Every part that does not fit.',
      }),
    ),
  },
  { description: 'What went wrong, and how to mend it.' },
)
export type Problem = Static<typeof Problem>

export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 50, description: 'How many items a page has.' })),
  cursor: Type.Optional(Type.String({ maxLength: 2048, description: '`next` of the page before.' })),
  order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'desc', description: 'The oldest or the newest first.' })),
}

/** Names in a query. A name that holds a comma can only be told from two by repeating the parameter. */
export const NamesQuery = Type.Union([Type.String(), Type.Array(Type.String(), { maxItems: 100 })], {
  description:
    'One or several, separated by commas. Repeated, each is taken as it stands, commas and all; ' +
    'a single name that holds a comma is given twice.',
})

/** Of a list in order of name. */
export const NamePageQuery = {
  ...PageQuery,
  order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'asc', description: 'By name, forwards or backwards.' })),
}

export const Next = Type.Union([Type.String(), Type.Null()], {
  description: 'Pass as `cursor` for the next page; null at the end.',
})

/** One item of a batch verb's answer. */
export const ItemResult = Type.Object({
  id: Id,
  ok: Type.Boolean(),
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
})
export type ItemResult = Static<typeof ItemResult>
