import { openApiDocument } from '../packages/server/src/cli/openapi.ts'
import { configReference } from '../packages/server/src/config/reference.ts'
import { errorReference } from '../packages/server/src/errors/reference.ts'
import { httpReference } from '../packages/server/src/http/reference.ts'
import { jobStatesReference } from '../packages/server/src/model/reference.ts'

/** The pages of `docs/reference` by their file names, made from what they describe. */
export async function references(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['configuration.md', configReference()],
    ['errors.md', errorReference()],
    ['http-api.md', httpReference(await openApiDocument(process.cwd()))],
    ['job-states.md', jobStatesReference()],
  ])
}
