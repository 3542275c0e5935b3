import type { Command } from 'commander'
import type { Logger } from 'pino'
import type { Config } from '../config/compile.ts'
import { VERSION } from '../version.ts'
import { addConfigFlags, readConfigFlags } from './config-flags.ts'
import { ExitCode, exitCodeOfSignal } from './exit-code.ts'
import type { Host } from './host.ts'
import { addExamples } from './options.ts'
import { reachableUrl, removeServerFile, writeServerFile } from './server-file.ts'
import type { Session } from './session.ts'

type Options = Readonly<Record<string, unknown>>

export function serveCommand(command: Command, session: Session): void {
  addConfigFlags(command)
  command.option('--json', 'print one JSON document once it serves, and nothing else')
  addExamples(command, [
    ['octoflow serve', 'on port 5000, with its state in ./data'],
    ['octoflow serve --port 0 --data /var/lib/octoflow', 'on any free port'],
    ['octoflow serve --app . --handlers workers', 'runs the handlers in ./workers itself'],
    ['octoflow serve --roles api,maintenance', 'leaves the handlers alone'],
  ])
  command.action((options: Options) => serve(session, options))
}

async function serve(session: Session, options: Options): Promise<void> {
  const { host } = session
  session.detach()
  const stopped = untilStopped(host)
  const { loadConfig } = await import('../config/load.ts')
  const configFlags = readConfigFlags(options)
  const loaded = await loadConfig({ env: host.env, cwd: host.cwd, ...configFlags })
  const { config } = loaded
  const [{ compose }, { createLogger }, { greet, greetProgram, greetWithoutApi }, { isOpenToOthers, readOrMakeKey }] =
    await Promise.all([
      import('../compose.ts'),
      import('../logger.ts'),
      import('./greeting.ts'),
      import('../config/key-file.ts'),
    ])
  const logger = await createLogger(config, session.err.isTerminal)
  for (const notice of loaded.notices) logger.warn(notice)
  endOnCrash(host, logger)
  const ownKey = needsOwnKey(config) ? readOrMakeKey(config.paths.data) : null
  if (ownKey !== null && isOpenToOthers(ownKey.path, host.platform))
    logger.warn({ path: ownKey.path }, 'the key can be read by others; make its file yours alone: chmod 600')
  const server = await compose(config, { logger, version: VERSION, keys: ownKey === null ? [] : [ownKey.key] })
  await server.start()
  try {
    const { url } = server.http
    const handlers = server.handlers.files
    const { roles } = config.server
    if (url !== null) writeServerFile(config.paths.data, { url: reachableUrl(url), pid: host.pid })
    if (session.json) greetProgram(session, { url, roles, ownKey, handlers })
    else if (url === null) greetWithoutApi(session, roles, handlers)
    else await greet(session, { url, loaded, configFile: configFlags.file ?? null, ownKey, handlers })
    logger.info({ signal: await stopped }, 'stopping')
  } finally {
    removeServerFile(config.paths.data, host.pid)
    await server.stop()
  }
}

/** Resolves at the first signal to stop; a second one ends the process at once. */
function untilStopped(host: Host): Promise<NodeJS.Signals> {
  host.onReloadSignal(() => undefined)
  return new Promise((resolve) => {
    let asked = false
    host.onStopSignal((signal) => {
      if (asked) host.exit(exitCodeOfSignal(signal))
      asked = true
      resolve(signal)
    })
  })
}

/** What nobody foresaw leaves a state that nobody knows: what is stored is safe, so the process ends and is started again. */
function endOnCrash(host: Host, logger: Logger): void {
  host.onCrash((error) => {
    logger.fatal({ err: error }, 'an unexpected error; the server ends')
    host.exit(ExitCode.failed)
  })
}

const needsOwnKey = ({ server, security }: Config): boolean =>
  server.roles.includes('api') &&
  !security.disabled &&
  security.authorizationKey === null &&
  security.apiToken === null &&
  security.oidcIssuer === null
