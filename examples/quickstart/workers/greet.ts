/** The smallest handler: the server runs it on the jobs of the queue `greet`, which the file is named after. */
import type { CapturedRequest, Job } from '@octoflow/worker'

/** A payload that the server shows at its start, in a command to paste. */
export const example = { name: 'Ada' }

export async function process(request: CapturedRequest<Partial<typeof example>>, job: Job): Promise<object> {
  const { name = 'world' } = request.body
  await job.event(`Greeting ${name}`)
  return { greeting: `Hello, ${name}!` }
}
