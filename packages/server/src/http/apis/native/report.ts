import * as wire from '@octoflow/protocol'
import type { FastifyInstance } from 'fastify'
import type { WorkReport } from '../../../core/engine/work.ts'
import { OctoflowError } from '../../../errors/octoflow-error.ts'
import { itemTexts, memberText } from '../../../lib/raw-json.ts'
import type { HttpContext } from '../../context.ts'
import { problems } from './problems.ts'
import { readReport } from './read-report.ts'

/** A worker says how its attempts ended. */
export async function reportRoutes(app: FastifyInstance, { context }: { context: HttpContext }): Promise<void> {
  app.post<{ Body: wire.ReportRequest }>(
    '/jobs/report',
    {
      config: { access: 'worker', idempotency: 'own' },
      schema: {
        tags: ['work'],
        operationId: 'reportJobs',
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
      const results = (await context.work.report(body.workerId, reports, principal)).values()
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
