import type { LoadedConfig } from '../../config/load.ts'
import { humanDuration, MILLISECOND } from '../../lib/time.ts'
import { ApiClient } from '../client/api-client.ts'
import { describeFetchFailure, RefusedError } from '../client/api-errors.ts'
import { localKey } from '../client/find-server.ts'
import type { Host } from '../host.ts'
import { readServerFile, serverFilePath } from '../server-file.ts'
import { type Finding, ok, problem, reasonOf, warning } from './finding.ts'

const CHECK = 'server'
const ANSWER_WITHIN_MS = 10_000

/** The header that tells the server's clock has whole seconds. */
const CLOCK_NOISE_MS = 2_500

/** Looks at the server that uses the data directory. @returns `url`: where it is; `null` if none runs. */
export async function checkServer(
  loaded: LoadedConfig,
  host: Host,
): Promise<{ readonly findings: readonly Finding[]; readonly url: string | null }> {
  const { data } = loaded.config.paths
  const file = readServerFile(data)
  if (file === null) return { findings: [ok(CHECK, 'none runs on this data directory')], url: null }
  if (!host.isRunning(file.pid)) {
    const message = `${serverFilePath(data)} names a server that runs no more: it was ended by force.`
    return { findings: [warning(CHECK, message, 'Nothing to mend: the next start takes its place.')], url: null }
  }
  const { url, pid } = file
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    const { status } = (await response.json()) as { readonly status?: unknown }
    const readiness = response.ok
      ? ok(CHECK, `runs at ${url} (process ${pid}) and is ready`)
      : problem(CHECK, `runs at ${url} (process ${pid}), but is not ready: ${String(status)}.`, 'Look at its log.')
    return { findings: [readiness, clockFinding(response), await keyFinding(url, loaded, host)], url }
  } catch (error) {
    const { reason, certificate } = describeFetchFailure(error)
    const message = `${url} (process ${pid}) does not answer: ${reason}.`
    const finding = certificate
      ? warning(
          CHECK,
          `runs at ${url}; ${reason}, so it was not asked more.`,
          'Name its authority with NODE_EXTRA_CA_CERTS=file.pem.',
        )
      : problem(CHECK, message, 'Look at its log; if it is no Octoflow server, remove server.json and start one.')
    return { findings: [finding], url }
  }
}

function clockFinding({ headers }: Response): Finding {
  const difference = Math.abs(Date.now() - Date.parse(headers.get('date') ?? ''))
  if (!(difference > CLOCK_NOISE_MS)) return ok('clock', 'agrees with that of the server')
  const hint = 'Let the clock be kept by NTP on both machines.'
  return warning('clock', `differs from that of the server by ${humanDuration(difference * MILLISECOND)}.`, hint)
}

async function keyFinding(url: string, loaded: LoadedConfig, host: Host): Promise<Finding> {
  try {
    const key = await localKey(loaded, host)
    const address = { url, urlFrom: 'server.json', key: key?.value ?? null, keyFrom: key?.from ?? null }
    await new ApiClient(address, AbortSignal.timeout(ANSWER_WITHIN_MS)).get('/me')
    return ok('keys', key === null ? 'the server asks for none' : `the server accepts the one from ${key.from}`)
  } catch (error) {
    if (error instanceof RefusedError) return problem('keys', error.message, error.hint)
    return problem('keys', `could not be tried: ${reasonOf(error)}`, 'Look at the server’s log.')
  }
}
