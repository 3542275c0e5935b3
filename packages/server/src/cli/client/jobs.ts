import type { Job, Waiting } from '@octoflow/protocol'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import type { ApiClient } from './api-client.ts'
import type { Page } from './pages.ts'

/** The id that an argument means: itself, or that of the job made last. */
export async function jobIdFor(client: ApiClient, argument: string): Promise<string> {
  if (argument !== 'last') return argument
  const { value } = await client.get<Page<Job>>('/jobs', { limit: 1 })
  const [newest] = value.items
  if (newest !== undefined) return String(newest.id)
  const hint = 'Submit one: octoflow submit greet \'{"name":"Ada"}\''
  throw new CommandError(ExitCode.notFound, 'There is no job yet.', hint, { code: 'job_not_found' })
}

/** Why a job has not started, in whole sentences. */
export async function whyPending(client: ApiClient, id: number | string): Promise<readonly string[]> {
  const { value } = await client.get<Waiting>(`/jobs/${id}/waiting`)
  return value.reasons.map(({ message }) => message)
}
