import { Type } from '@octoflow/protocol'

/** The shapes of the capture API, as its clients have always known them. */

export const TAGS = ['capture']

export const JSON_TYPE = 'application/json; charset=utf-8'

const message = (example: string) => Type.Object({ message: Type.String({ examples: [example] }) })

/** The error answers of a route. */
export const errors = (example: string) => ({
  '4xx': message(example),
  '5xx': message('The database cannot be reached at the moment.'),
})

/** The answers of a route that says no more than that it is done. */
export const messages = (done: string, failed: string) => ({ 200: message(done), ...errors(failed) })

export const greeting = {
  200: {
    description: 'The greeting, with the version.',
    content: { 'text/plain': { schema: Type.String({ examples: ['Hello Drumpler 0.1.0!'] }) } },
  },
} as const

export const AnyBody = Type.Unknown({ description: 'Stored as it came.', examples: [{ order: 7 }] })

export const CustomValueQuery = Type.Object({
  custom_value: Type.Optional(
    Type.String({ maxLength: 256, description: 'The queue of the job; without it no job is made.', examples: ['App'] }),
  ),
})

export const NextPendingQuery = Type.Object({
  custom_value: Type.Optional(Type.String({ maxLength: 256, examples: ['App'] })),
  wait: Type.Optional(Type.Number({ minimum: 0, maximum: 60, description: 'Seconds to wait for a job.' })),
})

export const Captured = Type.Object({
  message: Type.String({ examples: ['Request processed successfully'] }),
  id: Type.Integer({ examples: [12] }),
  job_id: Type.Optional(Type.Integer({ examples: [12] })),
})

const nullableText = Type.Union([Type.String(), Type.Null()])

/** How a request came in. */
const came = {
  source_ip: nullableText,
  user_agent: nullableText,
  method: Type.String({ examples: ['POST'] }),
  request_url: Type.String({ examples: ['http://localhost:5000/request?custom_value=App'] }),
}

export const RecordedRequest = Type.Object({
  id: Type.Integer({ examples: [12] }),
  timestamp: Type.String({ format: 'date-time', examples: ['2026-11-21T10:15:30.123456Z'] }),
  ...came,
  request_raw: Type.Unknown({ description: 'The body as a JSON value.', examples: [{ order: 7 }] }),
  custom_value: nullableText,
  is_handled: Type.Enum([0, 1]),
})

export const PendingJob = Type.Object({
  job_id: Type.Integer({ examples: [12] }),
  request_id: Type.Integer({ description: 'The same as `job_id`.', examples: [12] }),
  ...came,
  request_raw: Type.String({ description: 'The body as JSON text.', examples: ['{"order":7}'] }),
  custom_value: Type.String({ examples: ['App'] }),
})

export const HandledBody = Type.Object({ is_handled: Type.Enum([0, 1], { examples: [1] }) })

const Status = Type.String({
  minLength: 1,
  maxLength: 64,
  description: '`Pending`, `In Progress`, `Completed`, `Error`, `Cancelled`; any other text is kept as a label.',
  examples: ['Completed'],
})

export const StatusBody = Type.Object({ status: Status })

export const JobBody = Type.Object({
  status: Type.Optional(Status),
  finished_date: Type.Optional(
    Type.Union([Type.String({ description: 'ISO 8601.', examples: ['2026-11-21T10:15:30Z'] }), Type.Null()]),
  ),
})

const JobId = Type.Integer({ examples: [12] })
const EventMessage = Type.String({ maxLength: 65_536, examples: ['half way'] })

export const EventBody = Type.Object({ job_id: Type.Optional(JobId), message: EventMessage })

export const EventOfJobBody = Type.Object({ job_id: JobId, message: EventMessage })

export const EventCreated = Type.Object({ event_id: Type.Integer({ examples: [31] }) })
