import { hash } from 'node:crypto'
import type { Static } from '@octoflow/protocol'
import * as wire from '@octoflow/protocol'
import { Type } from '@octoflow/protocol'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { IdempotencyKey, Incoming } from '../../../core/jobs/intake.ts'
import type { TimelinePlace, TimelineRequest } from '../../../core/jobs/timeline.ts'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { itemTexts, memberText, withMembers } from '../../../lib/raw-json.ts'
import type { Submitted } from '../../../storage/contract/requests.ts'
import type { HttpContext } from '../../context.ts'
import { Paging } from '../../cursor.ts'
import { idempotencyKey } from '../../idempotency-key.ts'
import { InvalidInput, validator } from '../../validation.ts'
import { sendWithEtag } from './etag.ts'
import { problems } from './problems.ts'
import { readEvent, readFilterQuery, readId, readInstant, readSubmit } from './read.ts'
import { eventText, timelineText, toAttempt, toJob, toWaitingReason } from './wire.ts'

const tags = ['jobs']

const JSON_TYPE = 'application/json; charset=utf-8'

interface ById {
  Params: { id: string }
}

const SubmitMany = Type.Object(
  { jobs: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 1000 }) },
  { additionalProperties: false },
)

const SubmitBody = Type.Union([
  wire.SubmitJob,
  Type.Object({ jobs: Type.Array(wire.SubmitJob, { minItems: 1, maxItems: 1000 }) }, { additionalProperties: false }),
])

const ListQuery = wire.JobListQuery
type ListQuery = Static<typeof ListQuery>

const EventsBody = Type.Union([
  wire.EventInput,
  Type.Object({ events: Type.Array(wire.EventInput, { minItems: 1, maxItems: 1000 }) }, { additionalProperties: false }),
])

/** Submitting jobs, looking at them and steering them. */
export async function jobRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { jobs, intake, ports } = context
  const misfitsOfOne = validator(wire.SubmitJob, 'body')
  const misfitsOfMany = validator(SubmitMany, 'body')

  app.post(
    '/jobs',
    {
      config: { access: 'producer', idempotency: 'own' },
      // The body is checked below, each job of a batch by itself, so that one that does not fit fails alone.
      attachValidation: true,
      schema: {
        tags,
        summary: 'Submit one job or many',
        description: 'One job, or `{"jobs": […]}` with up to 1000, each of which gets its own answer.',
        body: SubmitBody,
        response: {
          200: Type.Union([wire.Submitted, Type.Object({ jobs: Type.Array(wire.SubmittedItem) })]),
          201: Type.Union([wire.Submitted, Type.Object({ jobs: Type.Array(wire.SubmittedItem) })]),
          ...problems,
        },
      },
      validatorCompiler: () => () => true,
    },
    async (request, reply) => {
      const body = request.body
      const many = typeof body === 'object' && body !== null && 'jobs' in body
      return many ? submitMany(request, reply, body as { jobs: unknown[] }) : submitOne(request, reply, body as wire.SubmitJob)
    },
  )

  async function submitOne(request: FastifyRequest, reply: Reply, body: wire.SubmitJob): Promise<wire.Submitted> {
    const misfits = misfitsOfOne(body)
    if (misfits.length > 0) throw new InvalidInput('invalid_body', misfits)
    const incoming = readSubmit(body, memberText(request.rawBody ?? '', 'payload'), request, ports.clock.now())
    const { id, outcome } = await intake.accept(incoming, submitKey(request), request.principal)
    reply.code(outcome === 'created' ? 201 : 200).header('location', `/api/v1/jobs/${id}`)
    return { id, queue: body.queue, outcome: outcome as wire.Submitted['outcome'] }
  }

  async function submitMany(
    request: FastifyRequest,
    reply: Reply,
    body: { jobs: unknown[] },
  ): Promise<{ jobs: wire.SubmittedItem[] }> {
    const misfits = misfitsOfMany(body)
    if (misfits.length > 0) throw new InvalidInput('invalid_body', misfits)
    const texts = itemTexts(memberText(request.rawBody ?? '', 'jobs') ?? '[]')
    const read = body.jobs.map((job, index) => readItem(job, texts[index] ?? '{}', request))
    const incoming = read.filter((item): item is Incoming => !(item instanceof OctoflowError))
    const accepted = [...(await intake.acceptAll(incoming, submitKey(request), request.principal))]
    const answers = read.map((item) => toSubmittedItem(item instanceof OctoflowError ? item : accepted.shift()!))
    reply.code(answers.some((answer) => answer.outcome === 'created') ? 201 : 200)
    return { jobs: answers }
  }

  function readItem(job: unknown, text: string, request: FastifyRequest): Incoming | OctoflowError {
    const misfits = misfitsOfOne(job)
    if (misfits.length > 0) return new InvalidInput('invalid_body', misfits)
    try {
      return readSubmit(job as wire.SubmitJob, memberText(text, 'payload'), request, ports.clock.now())
    } catch (error) {
      if (error instanceof OctoflowError) return error
      throw error
    }
  }

  app.get<{ Querystring: ListQuery }>(
    '/jobs',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'List jobs', querystring: ListQuery, response: { 200: wire.JobList, ...problems } },
    },
    async ({ query, principal }) => {
      const { limit, cursor, order, ...filterQuery } = query
      const paging = new Paging('jobs', filterQuery)
      const page = paging.request({ limit, cursor, order })
      const found = await jobs.list(readFilterQuery(filterQuery), page, principal.queues)
      return { items: found.items.map(toJob), next: paging.next(found, page) }
    },
  )

  app.get<ById>(
    '/jobs/:id',
    { config: { access: 'viewer' }, schema: { tags, summary: 'Read a job', response: { 200: wire.JobDetail, ...problems } } },
    async (request, reply) => {
      const id = readId(request.params.id, 'job_not_found')
      const { job, payload, attempts, result, error } = await jobs.detail(id, request.principal.queues)
      const detail = { ...toJob(job), attempts: attempts.map(toAttempt), error }
      return sendWithEtag(request, reply, withMembers(detail, { payload, result: result ?? 'null' }))
    },
  )

  app.get<ById & { Querystring: Static<typeof wire.TimelineQuery> }>(
    '/jobs/:id/timeline',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'All that happened to a job, in order',
        querystring: wire.TimelineQuery,
        response: { 200: wire.Timeline, ...problems },
      },
    },
    async ({ params, query, principal }, reply) => {
      const id = readId(params.id, 'job_not_found')
      const paging = new TimelinePaging(id)
      const page = paging.request(query)
      const { items, next } = await jobs.timeline(id, page, principal.queues)
      reply.type(JSON_TYPE)
      return `{"items":[${items.map(timelineText).join()}],"next":${JSON.stringify(paging.next(next, page))}}`
    },
  )

  app.get<ById>(
    '/jobs/:id/waiting',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'Why a job has not started', response: { 200: wire.Waiting, ...problems } },
    },
    async ({ params, principal }): Promise<wire.Waiting> => {
      const { job, reasons } = await jobs.waiting(readId(params.id, 'job_not_found'), principal.queues)
      return { state: job.state, waiting: job.state === 'pending', reasons: reasons.map(toWaitingReason) }
    },
  )

  app.post<ById & { Body: Static<typeof wire.CancelJob> | null }>(
    '/jobs/:id/cancel',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Cancel a job',
        description: 'A pending job at once; a running one through its worker’s next heartbeat.',
        body: Type.Union([wire.CancelJob, Type.Null()]),
        response: { 200: wire.Job, ...problems },
      },
    },
    async ({ params, body, principal }) =>
      toJob(await jobs.cancel(readId(params.id, 'job_not_found'), body?.reason ?? null, principal)),
  )

  app.post<ById & { Body: Static<typeof wire.RetryJob> | null }>(
    '/jobs/:id/retry',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Run a finished job again',
        body: Type.Union([wire.RetryJob, Type.Null()]),
        response: { 200: wire.Job, ...problems },
      },
    },
    async ({ params, rawBody, principal }) => {
      const payload = memberText(rawBody ?? '{}', 'payload')
      return toJob(await jobs.retry(readId(params.id, 'job_not_found'), { payload, queue: null }, principal))
    },
  )

  app.patch<ById & { Body: Static<typeof wire.EditJob> }>(
    '/jobs/:id',
    {
      config: { access: 'operator' },
      schema: { tags, summary: 'Change a pending job', body: wire.EditJob, response: { 200: wire.Job, ...problems } },
    },
    async ({ params, body, principal }) => {
      const { runAt, ...rest } = body
      const change = { ...rest, ...(runAt !== undefined && { runAt: readInstant(runAt, 'runAt', 'body') }) }
      return toJob(await jobs.edit(readId(params.id, 'job_not_found'), change, principal))
    },
  )

  app.delete<ById>(
    '/jobs/:id',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Delete a job with its request and all that hangs on them',
        response: { 204: Type.Null(), ...problems },
      },
    },
    async ({ params, principal }, reply) => {
      await jobs.delete(readId(params.id, 'job_not_found'), principal)
      return reply.code(204).send()
    },
  )

  app.post<ById & { Body: Static<typeof EventsBody> }>(
    '/jobs/:id/events',
    {
      config: { access: 'worker' },
      schema: {
        tags,
        summary: 'Record events or log lines of a job',
        body: EventsBody,
        response: { 201: Type.Object({ ids: Type.Array(wire.Id) }), ...problems },
      },
    },
    async ({ params, body, rawBody, principal }, reply) => {
      const text = rawBody ?? '{}'
      const texts = 'events' in body ? itemTexts(memberText(text, 'events') ?? '[]') : [text]
      const events = ('events' in body ? body.events : [body]).map((event, index) => readEvent(event, texts[index] ?? '{}'))
      const ids = await jobs.addEvents(readId(params.id, 'job_not_found'), events, principal)
      return reply.code(201).send({ ids })
    },
  )

  const EventsQuery = Type.Object(
    { ...wire.PageQuery, order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'asc' })) },
    { additionalProperties: false },
  )
  app.get<ById & { Querystring: Static<typeof EventsQuery> }>(
    '/jobs/:id/events',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'Events and log lines of a job',
        querystring: EventsQuery,
        response: { 200: wire.JobEventList, ...problems },
      },
    },
    async ({ params, query, principal }, reply) => {
      const id = readId(params.id, 'job_not_found')
      const paging = new Paging(`events of ${id}`)
      const page = paging.request({ ...query, order: query.order ?? 'asc' })
      const found = await jobs.events(id, page, principal.queues)
      reply.type(JSON_TYPE)
      return `{"items":[${found.items.map(eventText).join()}],"next":${JSON.stringify(paging.next(found, page))}}`
    },
  )
}

/** A place on a timeline is one among its events and one among its steps; its cursor is made of one for each. */
class TimelinePaging {
  readonly #events: Paging
  readonly #steps: Paging

  constructor(id: number) {
    this.#events = new Paging(`events on the timeline of ${id}`)
    this.#steps = new Paging(`steps on the timeline of ${id}`)
  }

  /** @throws `invalid_cursor` */
  request({ limit = 1_000, cursor, order = 'asc' }: Static<typeof wire.TimelineQuery>): TimelineRequest {
    if (cursor === undefined) return { limit, order, after: null }
    const [eventCursor = '', stepCursor = ''] = cursor.split('.')
    const event = this.#events.request({ cursor: eventCursor, order }).after!
    const step = this.#steps.request({ cursor: stepCursor, order }).after!
    return { limit, order, after: { event, step } }
  }

  next(place: TimelinePlace | null, { limit, order }: TimelineRequest): string | null {
    if (place === null) return null
    const [event, step] = [
      this.#events.next({ items: [], next: place.event }, { limit, order, after: null }),
      this.#steps.next({ items: [], next: place.step }, { limit, order, after: null }),
    ]
    return `${event}.${step}`
  }
}

interface Reply {
  code(status: number): Reply
  header(name: string, value: string): Reply
}

/** A different job under the same key is a mistake of the client's, so the body is part of the key. */
function submitKey(request: FastifyRequest): (IdempotencyKey & { readonly fingerprint: string }) | null {
  const key = idempotencyKey(request, 'submit')
  return key === null ? null : { key, fingerprint: hash('sha256', request.rawBody ?? '') }
}

function toSubmittedItem(result: Submitted | OctoflowError): wire.SubmittedItem {
  if (result instanceof OctoflowError) return { ok: false, code: result.code, message: result.message }
  return { ok: true, id: result.id, outcome: result.outcome as Exclude<Submitted['outcome'], 'mismatch'> }
}
