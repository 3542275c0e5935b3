import { type TSchema, Type } from '@octoflow/protocol'
import type { EventType, EventTypes } from '../../../model/event-type.ts'

/** The shapes of the log events API, as its clients have always known them. */

export const TAGS = ['log events']

export const JSON_TYPE = 'application/json; charset=utf-8'

const Timestamp = Type.String({
  format: 'date-time',
  description: 'ISO 8601, in the past. Given back in UTC.',
  examples: ['2023-10-01T13:45:00.000Z'],
})

const eventId = (example: string) => Type.String({ minLength: 1, description: 'Unique among all events.', examples: [example] })

/** An event of a type: what an operator says of types stands in the documentation like the built-in ones. */
const eventOf = ({ name, description, schema, example }: EventType): TSchema =>
  Type.Object(
    {
      type: Type.Literal(name),
      timestamp: Timestamp,
      event_id: eventId(`${name[0]}_001`),
      event: Type.Unsafe<unknown>(example === undefined ? schema : { ...schema, examples: [example] }),
    },
    { description },
  )

export const EXAMPLES = [
  {
    type: 'user',
    timestamp: '2023-10-01T13:45:00.000Z',
    event_id: 'u_001',
    event: { username: 'my_user', email: 'my_user@email.com', operation: 'write' },
  },
  {
    type: 'system',
    timestamp: '2023-10-01T13:45:00.000Z',
    event_id: 's_123',
    event: { system_id: 'id_123', location: 'europe', operation: 'read' },
  },
]

/** An event of any of the types. What was stored under a type that there is no more comes back all the same. */
export const eventSchema = (types: EventTypes): TSchema => Type.Union([...types.values()].map(eventOf))

export const StoredEvent = Type.Object({
  type: Type.String({ examples: ['user'] }),
  timestamp: Type.String({ examples: ['2023-10-01T13:45:00.000Z'] }),
  event_id: Type.String({ examples: ['u_001'] }),
  event: Type.Unknown({ examples: [{ username: 'my_user', email: 'my_user@email.com', operation: 'write' }] }),
})

export const Results = Type.Array(
  Type.Object({
    event_id: Type.String({ examples: ['u_001'] }),
    success: Type.Boolean({ examples: [true] }),
    error: Type.String({
      description:
        'Empty, or `invalid_timestamp`, `invalid_location`, `invalid_email`, `invalid_event`, `invalid_type`, `invalid_event_id`, ' +
        '`duplicate_event_id`.',
      examples: [''],
    }),
  }),
)

export const Page = Type.Object({
  events: Type.Array(StoredEvent),
  size: Type.Integer({ examples: [100] }),
  from: Type.Integer({ examples: [0] }),
  total: Type.Integer({ description: 'How many events match.', examples: [12_345] }),
  total_exact: Type.Boolean({ description: 'Whether there may be more than `total`.', examples: [true] }),
  next: Type.Union([Type.String(), Type.Null()], {
    description:
      'Send it as `cursor` for the next page, until it is `null`. With several filters a page may hold fewer events.',
  }),
})

export const Deletion = Type.Object({
  operation: Type.Integer({ description: 'The operation that deletes them.', examples: [7] }),
  location: Type.String({ description: 'Where to read how far it has got.', examples: ['/api/v1/operations/7'] }),
})

const text = (description: string, example: string) => Type.Optional(Type.String({ description, examples: [example] }))

export const FilterQuery = {
  type: text('Events of this type.', 'user'),
  since: text('ISO 8601, inclusive.', '2023-10-01T00:00:00Z'),
  until: text('ISO 8601, exclusive.', '2023-10-02T00:00:00Z'),
  username: text('Events with this username.', 'my_user'),
  email: text('Events with this address.', 'my_user@email.com'),
  system_id: text('Events of this system.', 'id_123'),
  location: text('Events with this location.', 'europe'),
  operation: text('Events of this operation.', 'write'),
}

const size = (fallback: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: fallback, description: 'How many events to give.' }))

export const AllQuery = Type.Object({ size: size(10) })

export const PageQuery = Type.Object({
  size: size(100),
  from: Type.Optional(
    Type.Integer({ minimum: 0, default: 0, description: 'How many events to step over. Has no meaning beside `cursor`.' }),
  ),
  cursor: text('The `next` of the page before.', 'OGZhNGQuYXNjLjE2OTYx'),
  order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'asc', description: 'Oldest or newest first.' })),
  ...FilterQuery,
})

export const DeletionQuery = Type.Object({ all: Type.Optional(Type.Enum(['true'])), ...FilterQuery })

export const ExportQuery = Type.Object({
  format: Type.Optional(Type.Enum(['ndjson', 'csv'], { default: 'ndjson' })),
  order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'asc', description: 'Oldest or newest first.' })),
  ...FilterQuery,
})

/** The error answers of a route. */
export const errors = {
  '4xx': Type.Object({
    detail: Type.Union([Type.Array(Type.String()), Type.String()], {
      examples: [["Input should be less than or equal to 1000 found in ('query', 'size')"]],
    }),
  }),
  '5xx': Type.Object({ detail: Type.String({ examples: ['The database cannot be reached at the moment.'] }) }),
}
