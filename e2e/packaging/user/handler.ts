import type { CapturedRequest, Job } from '@octoflow/worker'

/** For the isolations, which load it by its path. */
export async function process({ body }: CapturedRequest<{ readonly name: string }>, job: Job): Promise<object> {
  await job.event(`greeting ${body.name}`)
  return { greeting: `Hello ${body.name}` }
}
