import { type ApiClient, connect } from '../client/api-client.ts'
import type { ServerOptions } from '../client/find-server.ts'
import { jobIdFor } from '../client/jobs.ts'
import { CommandError } from '../command-error.ts'
import type { JsonOption } from '../options.ts'
import { complain } from '../output/complain.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'

interface Change<Item> {
  change(client: ApiClient, id: string): Promise<{ readonly text: string; readonly value: Item }>
  /** What to say when it is done. */
  tell(item: Item): string
}

/**
 * Does the same to several jobs, one after the other. One that it cannot be done to keeps none of the others from it; the
 * first such error decides the exit code.
 */
export async function changeJobs<Item>(
  session: Session,
  ids: readonly string[],
  options: ServerOptions & JsonOption,
  { change, tell }: Change<Item>,
): Promise<void> {
  const { out } = session
  const client = await connect(session, options)
  const texts: string[] = []
  const failed: object[] = []
  for (const argument of ids) {
    try {
      const { text, value } = await change(client, await jobIdFor(client, argument))
      texts.push(text.trim())
      if (!options.json) out.line(oneLine(tell(value)))
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      const { code, message, hint } = error
      failed.push({ id: argument === 'last' ? argument : Number(argument), code, message, hint })
      if (!options.json) complain(session, error)
      session.fail(error)
    }
  }
  if (options.json) out.jsonText(`{"items":[${texts.join()}],"failed":${JSON.stringify(failed)}}`)
}
