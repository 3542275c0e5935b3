import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import { DEFAULT_LEASE, type ReportedOutcome, type WorkReport } from '../../../core/engine/work.ts'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { itemTexts, memberText } from '../../../lib/raw-json.ts'
import { seconds, toIsoOrNull } from '../../../lib/time.ts'
import { DeadReason, type Progress } from '../../../model/job.ts'
import type { HttpContext } from '../../context.ts'
import { isTooLong } from '../../queue-name.ts'
import { untilGone } from '../../until-gone.ts'
import { misfit } from '../../validation.ts'
import { problems } from './problems.ts'
import { readError, readEvent, readToken } from './read.ts'
import { RepeatedClaims } from './repeated-claims.ts'

const tags = ['work']

/** The worker protocol. docs/guides/worker-protocol.md tells how to write a worker in any language. */
export async function workRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  const { work, roster, ports } = context
  const repeatedClaims = new RepeatedClaims(ports, work)

  app.post<{ Params: { queue: string }; Body: wire.ClaimRequest }>(
    '/queues/:queue/claim',
    {
      config: { access: 'worker', idempotency: 'own' },
      schema: {
        tags,
        summary: 'Take jobs',
        description:
          'Leases up to `limit` jobs to the caller; with `waitSeconds`, waits for one if there is none. Repeated with its ' +
          '`Idempotency-Key`, a claim is answered with those of its jobs whose leases are still held, which are renewed.',
        body: wire.ClaimRequest,
        response: { 200: wire.ClaimAnswer, ...problems },
      },
    },
    async (request, reply) => {
      const { workerId, limit = 1, waitSeconds = 0, leaseSeconds } = request.body
      const { queue } = request.params
      if (isTooLong(queue)) throw new OctoflowError('queue_not_found', { queue })
      const wish = {
        queue,
        worker: workerId,
        limit,
        wait: seconds(waitSeconds),
        lease: leaseSeconds === undefined ? DEFAULT_LEASE : seconds(leaseSeconds),
        ...(waitSeconds > 0 && { signal: untilGone(reply) }),
      }
      const jobs = await repeatedClaims.claim(request, wish, async () => {
        const claim = await work.claim(wish, request.principal, request.headers['user-agent'] ?? null)
        return claim.jobs
      })
      reply.type('application/json; charset=utf-8')
      return `{"jobs":[${jobs.join()}],"drain":${roster.isDraining(workerId)}}`
    },
  )

  app.post<{ Body: wire.HeartbeatRequest }>(
    '/jobs/heartbeat',
    {
      config: { access: 'worker', idempotency: 'own' },
      schema: {
        tags,
        summary: 'Renew leases',
        description:
          'Answers a command for each job: go on, cancel it, finish and take no more (`drain`), or drop it (`lost`).',
        body: wire.HeartbeatRequest,
        response: { 200: wire.HeartbeatAnswer, ...problems },
      },
    },
    async ({ body, principal }): Promise<wire.HeartbeatAnswer> => {
      const { workerId, leaseSeconds, jobs } = body
      const beats = jobs.map(({ id, leaseToken, progress }) => ({
        id,
        fence: readToken(leaseToken),
        progress: readProgress(progress),
      }))
      const lease = leaseSeconds === undefined ? DEFAULT_LEASE : seconds(leaseSeconds)
      const results = await work.heartbeat(workerId, lease, beats, principal)
      return { jobs: results.map(({ id, leaseUntil, command }) => ({ id, leaseUntil: toIsoOrNull(leaseUntil), command })) }
    },
  )

  app.post<{ Body: wire.ReportRequest }>(
    '/jobs/report',
    {
      config: { access: 'worker', idempotency: 'own' },
      schema: {
        tags,
        summary: 'Report how attempts ended',
        description: 'A repeated report is answered like the first; one whose lease was lost is refused with `lease_lost`.',
        body: wire.ReportRequest,
        response: { 200: wire.ReportAnswer, ...problems },
      },
    },
    async ({ body, rawBody, principal }): Promise<wire.ReportAnswer> => {
      const texts = body.jobs.some(holdsJson) ? itemTexts(memberText(rawBody ?? '', 'jobs') ?? '[]') : []
      const read = body.jobs.map((job, index) => readOrRefuse(job, texts[index] ?? '{}', index))
      const reports = read.filter((report): report is WorkReport => !(report instanceof OctoflowError))
      const results = (await work.report(body.workerId, reports, principal)).values()
      return {
        jobs: read.map((report, index) => {
          const error = report instanceof OctoflowError ? report : results.next().value!.error
          const { id } = body.jobs[index]!
          return error === null ? { id, ok: true } : { id, ok: false, code: error.code, message: error.message }
        }),
      }
    },
  )
}

/** Whether a report holds what is passed on as it came. */
const holdsJson = ({ result, events }: wire.JobReport): boolean =>
  result !== undefined || events?.some(({ data }) => data !== undefined) === true

/** A report that cannot be read does not keep the others of its call from being taken. */
function readOrRefuse(report: wire.JobReport, text: string, index: number): WorkReport | OctoflowError {
  try {
    return readReport(report, text, index)
  } catch (error) {
    if (error instanceof OctoflowError) return error
    throw error
  }
}

function readReport(report: wire.JobReport, text: string, index: number): WorkReport {
  const { id, leaseToken, events = [] } = report
  const texts = itemTexts(memberText(text, 'events') ?? '[]')
  return {
    id,
    fence: readToken(leaseToken),
    outcome: readOutcome(report, text, index),
    events: events.map((event, index) => readEvent(event, texts[index] ?? '{}')),
  }
}

function readOutcome(report: wire.JobReport, text: string, index: number): ReportedOutcome {
  const { outcome, reason, error, delaySeconds } = report
  switch (outcome) {
    case 'completed':
      return { kind: outcome, result: memberText(text, 'result') }
    case 'failed':
      return { kind: outcome, error: readError(error, reason ?? 'The worker gave no reason.') }
    case 'snoozed':
      if (delaySeconds === undefined)
        throw misfit('body', `jobs[${index}].delaySeconds`, 'is missing, though the job is snoozed')
      return { kind: outcome, delay: seconds(delaySeconds) }
    case 'discarded':
      return {
        kind: outcome,
        reason: reason ?? DeadReason.discarded,
        error: error === undefined ? null : readError(error, 'discarded'),
      }
    case 'cancelled':
      return { kind: outcome, reason: reason ?? null }
    case 'released':
      return { kind: outcome }
  }
}

/** @returns `null` where nothing of it fits. */
function readProgress(given: unknown): Progress | null {
  if (typeof given !== 'object' || given === null) return null
  const { fraction, message } = given as Readonly<Record<string, unknown>>
  const isFraction = typeof fraction === 'number'
  const isMessage = typeof message === 'string'
  if (!isFraction && fraction !== null && !isMessage && message !== null) return null
  return {
    fraction: isFraction ? Math.min(1, Math.max(0, fraction)) : null,
    message: isMessage ? message.slice(0, LONGEST_PROGRESS).toWellFormed() : null,
  }
}

const LONGEST_PROGRESS = 1_024
