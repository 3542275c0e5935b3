import { dirname } from 'node:path'
import type { Config } from '../../config/compile.ts'
import { isOpenToOthers, keyFault, keyFilePath, readKeyFile } from '../../config/key-file.ts'
import type { Host } from '../host.ts'
import { existing, whyUnwritable } from './data-directory.ts'
import { type Finding, ok, problem, reasonOf, warning } from './finding.ts'

const CHECK = 'keys'

export function* checkKeys({ security, paths: { data } }: Config, { platform }: Host): Generator<Finding> {
  if (security.disabled) {
    yield warning(CHECK, 'Security is disabled: whoever reaches the server may do everything.', 'Remove DISABLE_SECURITY.')
    return
  }
  const configured = security.authorizationKey !== null || security.apiToken !== null || security.oidcIssuer !== null
  const path = keyFilePath(data)
  try {
    if (existing(path) === null) {
      yield configured ? ok(CHECK, 'as configured') : missing(path)
      return
    }
    if (isOpenToOthers(path, platform))
      yield problem(
        CHECK,
        `${path} can be read by others.`,
        `Make it yours alone: chmod 600 ${path}. Who may have read it has the key.`,
      )
    yield contentFinding(path, configured)
  } catch (error) {
    yield problem(CHECK, `${path} cannot be read: ${reasonOf(error)}.`, 'Make it readable for the user that runs the server.')
  }
}

function missing(path: string): Finding {
  const reason = whyUnwritable(dirname(path))
  if (reason === null) return ok(CHECK, `made at the first start, in ${path}`)
  return problem(CHECK, `None is there, and none can be made in ${path}: ${reason}.`, 'Mend the data directory first.')
}

function contentFinding(path: string, configured: boolean): Finding {
  const key = readKeyFile(path)
  if (key === null) return ok(CHECK, `${path} is empty; a key is made at the next start`)
  const fault = keyFault({ key, path })
  if (fault !== null) return problem(CHECK, fault, `Remove ${path}.`)
  return ok(CHECK, configured ? `as configured; ${path} is not used` : path)
}
