import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { Type } from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { LogEvents } from '../../../core/log-events/log-events.ts'
import { memberText } from '../../../lib/raw-json.ts'
import { LOG_EVENT_FIELDS, type LogEvent, type LogEventFilter } from '../../../model/log-event.ts'
import type { LogEventPage, LogEventPlace } from '../../../storage/contract/log-events.ts'
import type { HttpContext, HttpOptions } from '../../context.ts'
import { misfit } from '../../validation.ts'
import { last, type Query, readFilter, readOrder } from './query.ts'
import * as schemas from './schemas.ts'

/** Events written at once. */
const PORTION = 500

interface Format {
  readonly type: string
  readonly head: string
  line(event: LogEvent): string
}

const COLUMNS = ['event_id', 'type', 'timestamp', ...LOG_EVENT_FIELDS, 'event'] as const

const FORMATS: Readonly<Record<'ndjson' | 'csv', Format>> = {
  ndjson: { type: 'application/x-ndjson', head: '', line: ({ document }) => `${document}\n` },
  csv: { type: 'text/csv; charset=utf-8', head: `${COLUMNS.join()}\r\n`, line: toCsv },
}

/** All events that match, as a file. */
export async function exportRoutes(
  app: FastifyInstance,
  { context, options }: { context: HttpContext; options: HttpOptions },
): Promise<void> {
  app.get<{ Querystring: Query }>(
    '/v1/events/export',
    {
      config: { access: options.publicApis.includes('log-events') ? 'public' : 'viewer' },
      schema: {
        tags: schemas.TAGS,
        operationId: 'exportLogEvents',
        summary: 'Read all events that match, as a file',
        description:
          'In order of time, however many there are. As NDJSON each line is an event, which `octoflow events import` takes; as CSV the ' +
          'last column is the JSON of `event`.',
        querystring: schemas.ExportQuery,
        response: {
          200: {
            description: 'The events.',
            content: { 'application/x-ndjson': { schema: Type.String() }, 'text/csv': { schema: Type.String() } },
          },
          ...schemas.errors,
        },
      },
    },
    async ({ query, method }, reply) => {
      const name = last(query, 'format') ?? 'ndjson'
      if (name !== 'ndjson' && name !== 'csv') throw misfit('query', 'format', "Input should be 'ndjson' or 'csv'")
      const lines = linesOf(context.logEvents, readFilter(query), readOrder(query), FORMATS[name])
      reply.type(FORMATS[name].type).header('content-disposition', `attachment; filename="events.${name}"`)
      return method === 'HEAD' ? reply.send() : reply.send(Readable.from(lines, { objectMode: false }))
    },
  )
}

async function* linesOf(
  logEvents: LogEvents,
  filter: LogEventFilter,
  order: 'asc' | 'desc',
  { head, line }: Format,
): AsyncGenerator<string, void, void> {
  if (head !== '') yield head
  for (let after: LogEventPlace | null | 0 = 0; after !== null; ) {
    const page: LogEventPage = await logEvents.list(filter, { order, after, limit: PORTION })
    if (page.events.length > 0) yield page.events.map(line).join('')
    // Pages without a match are read one after the other; others have their turn in between.
    else await turn()
    after = page.next
  }
}

/** https://www.rfc-editor.org/rfc/rfc4180 */
function toCsv({ document }: LogEvent): string {
  const value = JSON.parse(document) as Record<string, unknown> & { readonly event: Readonly<Record<string, unknown>> }
  const fields = LOG_EVENT_FIELDS.map((field) => value.event[field])
  const texts = [value.event_id, value.type, value.timestamp, ...fields, memberText(document, 'event')]
  return `${texts.map((text) => (typeof text === 'string' ? quote(text) : '')).join()}\r\n`
}

const quote = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
