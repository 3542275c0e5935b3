import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { VERSION } from '../../src/version.ts'
import { CommandLine } from './support/command-line.ts'

/** Every command that does something, by the words that call it. */
const COMMANDS = [
  'serve',
  'worker',
  'submit',
  ...['list', 'show', 'why', 'events', 'tail', 'cancel', 'retry', 'edit', 'delete'].map((name) => `jobs ${name}`),
  ...['list', 'show', 'pause', 'resume', 'set'].map((name) => `queues ${name}`),
  ...['list', 'show', 'replay'].map((name) => `dead ${name}`),
  ...['list', 'show', 'abort'].map((name) => `operations ${name}`),
  ...['list', 'drain', 'resume'].map((name) => `workers ${name}`),
  ...['list', 'create', 'rotate', 'delete'].map((name) => `keys ${name}`),
  'config',
  'doctor',
  'openapi',
  'demo',
]

const GROUPS = ['jobs', 'queues', 'dead', 'operations', 'workers', 'keys']

test('Every command has a page with its usage and examples, by --help and by help.', async (t) => {
  const cli = new CommandLine(t)
  for (const command of [...COMMANDS, ...GROUPS]) {
    const words = command.split(' ')
    const { code, out, err } = await cli.run(...words, '--help')
    assert.deepEqual({ code, err }, { code: ExitCode.ok, err: '' }, command)
    assert.match(out, new RegExp(`^Usage: octoflow ${command} `), command)
    assert.match(out, /\nExamples:\n {2}\S*octoflow|\nExamples:\n {2}KEY=/, command)
    assert.deepEqual(await cli.run('help', ...words), { code: ExitCode.ok, out, err: '' }, `help ${command}`)
  }
})

test('Every command has --json.', async (t) => {
  const cli = new CommandLine(t)
  for (const command of COMMANDS) {
    const { out } = await cli.run(...command.split(' '), '--help')
    assert.match(out, /^ {2}--json {2}/m, command)
  }
})

test('The first page and those of groups name every command.', async (t) => {
  const cli = new CommandLine(t)
  const { out: first } = await cli.run('--help')
  for (const name of [...GROUPS, ...COMMANDS.filter((command) => !command.includes(' '))])
    assert.match(first, new RegExp(`^ {2}${name} `, 'm'), name)
  for (const group of GROUPS) {
    const { out } = await cli.run(group, '--help')
    for (const command of COMMANDS.filter((command) => command.startsWith(`${group} `)))
      assert.match(out, new RegExp(`^ {2}${command.split(' ')[1]} `, 'm'), command)
  }
})

test('A help page fits the terminal.', async (t) => {
  const running = new CommandLine(t).start(['jobs', 'list', '--help'], { columns: 80 })
  const { out } = await running.ended
  const [options = ''] = out.split('\nExamples:')
  for (const line of options.split('\n')) assert.ok(line.length <= 80, line)
})

test('--version prints the version alone.', async (t) => {
  assert.deepEqual(await new CommandLine(t).run('--version'), { code: ExitCode.ok, out: `${VERSION}\n`, err: '' })
})

test('A command line that makes no sense gives exit code 2, one line that says why, and where to look.', async (t) => {
  const cli = new CommandLine(t)
  for (const [line, why] of [
    ['nope', /unknown command 'nope'/],
    ['job', /Did you mean jobs\?/],
    ['jobs nope', /unknown command 'nope'/],
    ['help nope', /unknown command 'nope'/],
    ['help jobs nope', /unknown command 'nope'/],
    ['submit', /missing required argument 'queue'/],
    ['submit greet --nope', /unknown option '--nope'/],
    ['serve extra', /too many arguments/],
    ['worker greet.ts', /--queue <name>' not specified/],
    ['worker greet.ts -q x --isolation cage', /Allowed choices are inline, thread, process/],
    ['keys create ci', /--role <role>' not specified/],
    ['keys create ci --role boss', /Allowed choices are viewer, producer/],
    ['jobs show abc', /'abc' does not fit as <id>\. It must be the number of a job/],
    ['jobs list --state lost', /'lost' does not fit as -s, --state <state>\. It must be one or several of pending/],
    ['jobs list --limit 0', /whole number from 1/],
    ['jobs list --since yesterday', /how long ago/],
    ['jobs edit 1 --run-at soon', /ISO 8601/],
    ['submit greet --priority 10', /whole number from 0 to 9/],
    ['submit greet --delay 5y', /such as 90, 90s, 5m, 2h or 1d/],
    ['submit greet --label =x', /a name and a value/],
    ['submit greet --delay 1s --run-at 2030-01-01T00:00:00Z', /cannot be used with option/],
    ['submit greet --file x --wait', /cannot be used with option/],
    ['queues set emails --rate-limit 100', /such as 100\/60s/],
    ['queues set emails --backoff 1,2,3,4,5', /the first wait, the factor/],
    ['queues set emails --retention-days x', /a number of days/],
    ['operations show last', /the number of an operation/],
    ['demo --url http://localhost --database-url sqlite::memory:', /cannot be used with option/],
  ] as const) {
    const { code, out, err } = await cli.run(...line.split(' '))
    assert.equal(code, ExitCode.usage, line)
    assert.equal(out, '', line)
    assert.match(err, why, line)
    assert.match(
      err,
      /^octoflow: .+\n(?:\(Did you mean .+\)\n)?Run the command with --help for its arguments and options\.\n$/,
      line,
    )
  }
})

test('A group without a command prints its page to standard error.', async (t) => {
  const cli = new CommandLine(t)
  for (const words of [[], ['jobs'], ['queues']]) {
    const { code, out, err } = await cli.run(...words)
    assert.deepEqual({ code, out }, { code: ExitCode.usage, out: '' })
    assert.match(err, /^Usage: octoflow/)
  }
})
