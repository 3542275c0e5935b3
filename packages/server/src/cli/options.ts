import { type Command, Option } from 'commander'
import { wholeNumber } from './values.ts'

/** Options that several commands share. */

export interface JsonOption {
  readonly json?: boolean
}

/** How a command finds its server; read by `findServer`. */
export function addServerOptions(command: Command): Command {
  return command
    .optionsGroup('Where the server is:')
    .option('--url <url>', 'its address; else OCTOFLOW_URL, else that of the server that uses the data directory')
    .option('--key <key>', 'its key; else OCTOFLOW_KEY, else that of the configuration or the data directory')
    .option('--data <directory>', 'the data directory of a server on this machine')
    .option('--app <directory>', 'the root of its app, where its .env lies')
    .option('--config <file>', 'its configuration file instead of octoflow.yml in the data directory')
}

export const addJsonOption = (command: Command): Command => command.option('--json', 'print one JSON document and nothing else')

/** Command lines and what they do, for the end of a help page. */
export function addExamples(command: Command, examples: readonly (readonly [line: string, meaning: string])[]): Command {
  const width = Math.max(...examples.map(([line]) => line.length))
  const lines = examples.map(([line, meaning]) => `  ${line.padEnd(width)}  ${meaning}`)
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
}

export interface PageOptions {
  readonly limit: number
  readonly all?: boolean
  readonly order?: 'asc' | 'desc'
}

export const addPageOptions = (command: Command): Command =>
  command
    .option('-n, --limit <number>', 'so many at most', wholeNumber(1, Number.MAX_SAFE_INTEGER), 50)
    .option('-a, --all', 'all of them')
    .addOption(new Option('--order <order>', 'asc: the oldest first').choices(['asc', 'desc']))

export const pageLimit = ({ limit, all }: PageOptions): number => (all === true ? Number.POSITIVE_INFINITY : limit)
