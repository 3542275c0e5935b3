import { CONFIG_FILE } from './config-file.ts'
import { showSetting } from './describe.ts'
import { meaninglessVariables, standIns, unusedVariables } from './old-names.ts'
import { type Setting, settingFor, settingKeys, settings } from './settings.ts'
import { ownVariable } from './variables.ts'

/** The Markdown of `docs/reference/configuration.md`. */
export function configReference(): string {
  return `${[INTRODUCTION, ...sections(), aliases(), special(), ignored()].join('\n\n')}\n`
}

const INTRODUCTION = `# Configuration

Generated from \`packages/server/src/config/settings.ts\` by \`npm run docs\`.

Everything has a default; a first start needs no configuration at all. \`octoflow config\` prints every value in force,
where it came from and what it overrides.

## Where values come from

Later wins:

1. the defaults below;
2. \`${CONFIG_FILE}\` in the data directory, or the YAML file named by \`--config\`;
3. the file \`.env\` in the app’s root;
4. the environment;
5. flags of the command line.

In \`${CONFIG_FILE}\` a section is a group:

\`\`\`yaml
server:
  port: 8080
  corsOrigins: [https://app.example.com]
logging:
  level: debug
\`\`\`

Every setting has a variable of its own, \`OCTOFLOW_\` and the setting’s name: \`${ownVariable('server.bodyLimit')}\` is
\`server.bodyLimit\`. A variable with this prefix that is no setting stops the start, since it is most likely misspelt;
\`OCTOFLOW_URL\` and \`OCTOFLOW_KEY\` belong to the command line, and what Kubernetes sets for a service of that name, such as
\`OCTOFLOW_PORT=tcp://10.0.0.7:5000\`, is left alone. An empty variable counts as not set. Two variables that give one setting
different values in the same place stop the start; one in \`.env\` that the environment overrides under another name is told in
the log. All problems are reported at once.

In variables and flags, lists are separated by commas, and true and false may also be written 1, yes, on and 0, no, off.`

function sections(): string[] {
  return Object.keys(settings).map((section) => {
    const keys = settingKeys.filter((key) => key.startsWith(`${section}.`))
    const rows = keys.map((key) => {
      const setting = settingFor(key)
      return [code(key), variables(setting, ownVariable(key)), defaultOf(setting), meaning(setting)]
    })
    return `## ${section}\n\n${table(['Setting', 'Variables and flag', 'Default', 'Meaning'], rows)}`
  })
}

const variables = ({ env = [], flag }: Setting, own: string): string =>
  [...env, own, ...(flag === undefined ? [] : [flag])].map(code).join(', ')

/** A fallback in words stays as it is; a value is set as code. */
const defaultOf = (setting: Setting): string => {
  const shown = showSetting(setting, setting.default)
  return setting.default === null || shown === 'none' ? shown : code(shown)
}

function meaning({ description, type, notInFile }: Setting): string {
  const exception = notInFile === undefined ? '' : ` Cannot stand in \`${CONFIG_FILE}\`, since ${notInFile}.`
  return `${description} Expects ${type.expected}.${exception}`
}

function aliases(): string {
  const rows = settingKeys
    .flatMap((key) => (settingFor(key).env ?? []).map((name) => [code(name), code(key)] as const))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `## Variables by name

Beside its own variable a setting may have short ones, and the names that it had in the replaced systems.

${table(['Variable', 'Setting'], rows)}`
}

function special(): string {
  const rows = standIns.map(({ key, names, description }) => [names.map(code).join(', '), code(key), description])
  return `## Variables that stand in

These count only where nothing else gives the setting a value, \`${CONFIG_FILE}\` included.

${table(['Variables', 'Setting', 'Meaning'], rows)}`
}

function ignored(): string {
  const meaningless = Object.entries(meaninglessVariables).map(([name, reason]) => [code(name), `Ignored: ${reason}.`])
  const unused = Object.entries(unusedVariables).map(([name, what]) => [code(name), `This version does not ${what} yet.`])
  return `## Variables without effect

Each that is set is named once in the log.

${table(['Variable', 'Why'], [...meaningless, ...unused])}`
}

const code = (text: string): string => `\`${text}\``

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
