import type * as wire from '@octoflow/protocol'
import type { ReportedOutcome, WorkReport } from '../../../core/engine/work.ts'
import { itemTexts, memberText } from '../../../lib/raw-json.ts'
import { seconds } from '../../../lib/time.ts'
import { DeadReason } from '../../../model/job.ts'
import { misfit } from '../../validation.ts'
import { readError, readEvent, readToken } from './read.ts'

/**
 * What a worker reports of a job.
 * @param text the report's JSON text, of which result and data are taken as they came.
 * @param index its place in the body, for the error.
 * @throws `invalid_body`
 */
export function readReport(report: wire.JobReport, text: string, index: number): WorkReport {
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
