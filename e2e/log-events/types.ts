import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Owner, temporaryDirectory } from '../support/owner.ts'

/** The directory of an app with types of its own. @param types what its file says of them, a text as it is. */
export function appWithTypes(owner: Owner, types: unknown): string {
  const app = temporaryDirectory(owner)
  mkdirSync(join(app, 'maps'))
  writeFileSync(join(app, 'maps', 'event-types.json'), typeof types === 'string' ? types : JSON.stringify(types))
  return app
}
