import { Timestamp } from './common.ts'
import { type Static, Type } from './type.ts'

const field = (example: string) => Type.Optional(Type.String({ examples: [example] }))

/** Which log events are meant. The names are those of the log events API. */
export const LogEventFilter = Type.Object(
  {
    type: field('user'),
    since: Type.Optional(Timestamp),
    until: Type.Optional(Timestamp),
    username: field('my_user'),
    email: field('my_user@email.com'),
    system_id: field('id_123'),
    location: field('europe'),
    operation: field('write'),
  },
  { additionalProperties: false },
)
export type LogEventFilter = Static<typeof LogEventFilter>
