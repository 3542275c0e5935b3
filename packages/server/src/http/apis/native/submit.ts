import { hash } from 'node:crypto'
import * as wire from '@octoflow/protocol'
import { Type } from '@octoflow/protocol'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { IdempotencyKey, Incoming } from '../../../core/jobs/intake.ts'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { itemTexts, memberText } from '../../../lib/raw-json.ts'
import type { Instant } from '../../../lib/time.ts'
import type { Submitted } from '../../../storage/contract/requests.ts'
import type { HttpContext } from '../../context.ts'
import { idempotencyKey } from '../../idempotency-key.ts'
import { compileValidator, InvalidInput, validator } from '../../validation.ts'
import { problems } from './problems.ts'
import { readSubmit } from './read.ts'

const MOST_JOBS = 1_000

const SubmitMany = Type.Object(
  { jobs: Type.Array(Type.Unknown(), { minItems: 1, maxItems: MOST_JOBS }) },
  { additionalProperties: false },
)

const SubmitBody = Type.Union([
  wire.SubmitJob,
  Type.Object({ jobs: Type.Array(wire.SubmitJob, { minItems: 1, maxItems: MOST_JOBS }) }, { additionalProperties: false }),
])

const SubmitAnswer = Type.Union([wire.Submitted, Type.Object({ jobs: Type.Array(wire.SubmittedItem) })])

const misfitsOfOne = validator(wire.SubmitJob, 'body')
const misfitsOfMany = validator(SubmitMany, 'body')

/** Submitting jobs. */
export async function submitRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.post(
    '/jobs',
    {
      config: { access: 'producer', idempotency: 'own' },
      schema: {
        tags: ['jobs'],
        operationId: 'submitJob',
        summary: 'Submit one job or many',
        description: 'One job, or `{"jobs": […]}` with up to 1000, each of which gets its own answer.',
        body: SubmitBody,
        response: { 200: SubmitAnswer, 201: SubmitAnswer, ...problems },
      },
      // The body is checked below, each job of a batch by itself, so that one that does not fit fails alone.
      validatorCompiler: (part) => (part.httpPart === 'body' ? () => true : compileValidator(part as never)),
    },
    async (request, reply) => {
      const { body } = request
      const many = typeof body === 'object' && body !== null && 'jobs' in body
      return many
        ? submitMany(context, request, reply, body as { jobs: unknown[] })
        : submitOne(context, request, reply, body as wire.SubmitJob)
    },
  )
}

async function submitOne(
  { intake, ports }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  body: wire.SubmitJob,
): Promise<wire.Submitted> {
  const misfits = misfitsOfOne(body)
  if (misfits.length > 0) throw new InvalidInput('invalid_body', misfits)
  const incoming = readSubmit(body, memberText(request.rawBody ?? '', 'payload'), request, ports.clock.now())
  const { id, outcome } = await intake.accept(incoming, submitKey(request), request.principal)
  reply.code(outcome === 'created' ? 201 : 200).header('location', `/api/v1/jobs/${id}`)
  return { id, queue: body.queue, outcome: outcome as wire.Submitted['outcome'] }
}

async function submitMany(
  { intake, ports }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  body: { readonly jobs: readonly unknown[] },
): Promise<{ jobs: wire.SubmittedItem[] }> {
  const misfits = misfitsOfMany(body)
  if (misfits.length > 0) throw new InvalidInput('invalid_body', misfits)
  const texts = itemTexts(memberText(request.rawBody ?? '', 'jobs') ?? '[]')
  const read = body.jobs.map((job, index) => readItem(job, texts[index] ?? '{}', request, ports.clock.now()))
  const incoming = read.filter((item): item is Incoming => !(item instanceof OctoflowError))
  const accepted = [...(await intake.acceptAll(incoming, submitKey(request), request.principal))]
  const answers = read.map((item) => toSubmittedItem(item instanceof OctoflowError ? item : accepted.shift()!))
  reply.code(answers.some((answer) => answer.outcome === 'created') ? 201 : 200)
  return { jobs: answers }
}

function readItem(job: unknown, text: string, request: FastifyRequest, now: Instant): Incoming | OctoflowError {
  const misfits = misfitsOfOne(job)
  if (misfits.length > 0) return new InvalidInput('invalid_body', misfits)
  try {
    return readSubmit(job as wire.SubmitJob, memberText(text, 'payload'), request, now)
  } catch (error) {
    if (error instanceof OctoflowError) return error
    throw error
  }
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
