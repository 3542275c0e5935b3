import type { Command } from 'commander'
import type { LoadedConfig } from '../../config/load.ts'
import { isOctoflowError } from '../../errors/octoflow-error.ts'
import { CommandError } from '../command-error.ts'
import { addConfigFlags, readConfigFlags } from '../config-flags.ts'
import { ExitCode } from '../exit-code.ts'
import { addExamples, addJsonOption, type JsonOption } from '../options.ts'
import { countOf } from '../output/format.ts'
import type { Screen, Style } from '../output/screen.ts'
import { manyLines } from '../output/text.ts'
import type { Session } from '../session.ts'
import { type Finding, ok, problem, warning } from './finding.ts'

export function doctorCommand(command: Command, session: Session): void {
  command.description(
    'Check all that a server needs, beside a running one too. Exit code 1 if something keeps it from working.',
  )
  addJsonOption(command)
  addConfigFlags(command.optionsGroup('As `octoflow serve` takes them:'))
  addExamples(command, [
    ['octoflow doctor', 'what `octoflow serve` would meet here'],
    ['octoflow doctor --data /var/lib/octoflow --json', 'for programs'],
  ])
  command.action((options: JsonOption) => examine(session, options))
}

/** Checks block the event loop for as long as they take; no signal is caught here, so that Ctrl-C ends them all the same. */
async function examine(session: Session, options: JsonOption): Promise<void> {
  const { out } = session
  const findings: Finding[] = []
  for await (const finding of checks(session, options)) {
    findings.push(finding)
    if (!options.json) print(out, finding)
  }
  const healthy = findings.every(({ status }) => status !== 'problem')
  if (options.json) out.json({ ok: healthy, findings })
  if (!healthy)
    session.fail(
      new CommandError(ExitCode.failed, 'Something keeps a server from working here.', 'Each finding says how to mend it.'),
    )
}

const SIGNS: Readonly<Record<Finding['status'], readonly [sign: string, style: Style]>> = {
  ok: ['✓', 'green'],
  warning: ['!', 'yellow'],
  problem: ['✗', 'red'],
}

const CHECK_WIDTH = 14

function print(screen: Screen, { check, status, message, hint }: Finding): void {
  const [sign, style] = SIGNS[status]
  const indent = ' '.repeat(CHECK_WIDTH + 4)
  const text = (hint === null ? [message] : [message, screen.paint('dim', `→ ${manyLines(hint)}`)]).join('\n')
  screen.line(`${screen.paint(style, sign)} ${check.padEnd(CHECK_WIDTH)}  ${text.replaceAll('\n', `\n${indent}`)}`)
}

async function* checks({ host }: Session, options: JsonOption): AsyncGenerator<Finding> {
  yield checkNode(host.node.version)
  const { loadConfig } = await import('../../config/load.ts')
  let loaded: LoadedConfig
  try {
    loaded = await loadConfig({ env: host.env, cwd: host.cwd, ...readConfigFlags({ ...options }) })
  } catch (error) {
    if (!isOctoflowError(error, 'config_invalid')) throw error
    for (const line of String(error.details.problems).split('\n')) yield problem('configuration', line, error.hint)
    yield warning('the rest', 'was not looked at, since it depends on the configuration.', 'Mend that first.')
    return
  }
  yield* checkConfig(loaded)
  const { config } = loaded
  const [{ checkDataDirectory }, { checkDatabase }, { checkKeys }, { checkServer }, { checkPort }, { checkHandlers }] =
    await Promise.all([
      import('./data-directory.ts'),
      import('./database.ts'),
      import('./keys.ts'),
      import('./server.ts'),
      import('./port.ts'),
      import('./handlers.ts'),
    ])
  yield* checkDataDirectory(config)
  yield* await checkDatabase(config)
  yield* checkKeys(config, host)
  const server = await checkServer(loaded, host)
  yield* server.findings
  yield await checkPort(config, server.url)
  yield* await checkHandlers(config, host)
}

const NEEDED = [24, 12] as const

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const fits = major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])
  if (fits) return ok('Node.js', version)
  return problem('Node.js', `${version} is too old.`, `Install ${NEEDED.join('.')} or newer.`)
}

function* checkConfig({ origins, notices }: LoadedConfig): Generator<Finding> {
  const given = Object.values(origins).filter(({ source }) => source !== 'default').length
  yield ok(
    'configuration',
    given === 0 ? 'all defaults' : `fits; ${countOf(given, 'setting is', 'settings are')} not the default`,
  )
  for (const notice of notices) yield warning('configuration', notice, 'Remove it, if it does not serve another program.')
}
