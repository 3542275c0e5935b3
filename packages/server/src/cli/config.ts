import type { Command } from 'commander'
import { isOctoflowError } from '../errors/octoflow-error.ts'
import { toCommandError } from './command-error.ts'
import { addConfigFlags, readConfigFlags } from './config-flags.ts'
import { addExamples, addJsonOption, type JsonOption } from './options.ts'
import { Table } from './output/table.ts'
import type { Session } from './session.ts'

export function configCommand(command: Command, session: Session): void {
  command.description('Show every setting in force and where it comes from. Secrets are masked.')
  addJsonOption(command)
  addConfigFlags(command.optionsGroup('As `octoflow serve` takes them:'))
  addExamples(command, [
    ['octoflow config', 'what `octoflow serve` would start with here'],
    ['octoflow config --json | jq .settings', 'for programs'],
  ])
  command.action((options: JsonOption) => showConfig(session, options))
}

async function showConfig(session: Session, options: JsonOption): Promise<void> {
  const { host, out, err } = session
  const [{ loadConfig }, { describe }] = await Promise.all([import('../config/load.ts'), import('../config/describe.ts')])
  try {
    const loaded = await loadConfig({ env: host.env, cwd: host.cwd, ...readConfigFlags({ ...options }) })
    const { config, origins, notices } = loaded
    const settings = describe(config, origins)
    if (options.json) return out.json({ settings, notices, problems: [] })
    new Table<(typeof settings)[number]>(out, [
      { title: 'SETTING', value: ({ key }) => key },
      { title: 'VALUE', value: ({ value }) => value, flexible: true },
      { title: 'FROM', value: ({ source }) => source, style: ({ source }) => (source === 'default' ? 'dim' : 'green') },
      { title: 'OVERRIDES', value: ({ overrides }) => overrides.join(', '), optional: 1 },
    ]).rows(settings)
    for (const notice of notices) err.line(`${err.paint('yellow', 'note:')} ${notice}`)
  } catch (error) {
    if (!options.json || !isOctoflowError(error, 'config_invalid')) throw error
    out.json({ settings: [], notices: [], problems: String(error.details.problems).split('\n') })
    session.fail(toCommandError(error))
  }
}
