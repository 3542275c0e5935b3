import { createServer } from 'node:net'
import type { Config } from '../../config/compile.ts'
import { OctoflowError } from '../../errors/octoflow-error.ts'
import { type Finding, ok, problem } from './finding.ts'

const CHECK = 'port'

/** @param serverUrl where a server of this data directory listens already; `null` if there is none. */
export async function checkPort({ server: { host, port } }: Config, serverUrl: string | null): Promise<Finding> {
  if (serverUrl !== null) return ok(CHECK, `the server listens on ${new URL(serverUrl).port || 'the default one'}`)
  if (port === 0) return ok(CHECK, 'any free one')
  try {
    await tryToListen(host, port)
    return ok(CHECK, `${port} on ${host} is free`)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const known =
      code === 'EADDRINUSE'
        ? new OctoflowError('address_in_use', { host, port })
        : new OctoflowError('address_unusable', { host, port, reason: message })
    return problem(CHECK, known.message, known.hint)
  }
}

function tryToListen(host: string, port: number): Promise<void> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}
