/**
 * A handler of GitHub's webhooks: tells what changed, where, and by whom.
 *
 *   octoflow worker examples/webhooks/handler.ts --queue github
 *
 * and let GitHub post to `/request?custom_value=github`. `npm run demo` shows it at work.
 */
import type { CapturedRequest, Job } from '@octoflow/worker'
import { describe } from './describe.ts'
import { Payload } from './payload.ts'

export interface Result {
  readonly summary: string
  readonly event: string
  readonly action: string | null
  readonly what: string
  readonly where: string
  readonly by: string
}

export async function process(request: CapturedRequest, job: Job): Promise<Result> {
  const event = request.headers['x-github-event']
  if (event === undefined) throw new Error('The request has no header X-GitHub-Event, so it is no webhook of GitHub’s.')
  const payload = new Payload(request.body)
  const action = payload.text('action')
  await job.event(`Webhook ${event}${action === '' ? '' : `, ${action}`}`, { delivery: request.headers['x-github-delivery'] })
  const what = describe(event, payload)
  const where = place(payload)
  const by = payload.first('sender.login', 'pusher.name', 'requester.login') || 'GitHub'
  const summary = `${by} ${what}${where === '' ? '' : ` in ${where}`}`
  job.log('info', summary)
  return { summary, event, action: action || null, what, where, by }
}

/** The repository, or else whatever else the webhook belongs to. */
const place = (payload: Payload): string =>
  payload.first(
    'repository.full_name',
    'organization.login',
    'installation.account.login',
    'marketplace_purchase.account.login',
    'sponsorship.sponsorable.login',
  )
