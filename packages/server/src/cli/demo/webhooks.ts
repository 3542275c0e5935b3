import { createHmac, randomUUID } from 'node:crypto'
import { globSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'

/** One call of GitHub's, as it would arrive. */
export interface Webhook {
  readonly event: string
  readonly headers: Readonly<Record<string, string>>
  /** JSON text. */
  readonly body: string
}

const PACKAGE = '@octokit/webhooks-examples'

/** What GitHub and its receiver agree on when a webhook is set up. */
const SHARED_SECRET = 'octoflow demo'

/** All example payloads, as webhooks: those of github.com and those of the releases of GitHub Enterprise Server. */
export function exampleWebhooks(): readonly Webhook[] {
  return readExamples().flatMap(({ name, examples }) => examples.map((payload) => toWebhook(name, payload)))
}

interface Examples {
  readonly name: string
  readonly examples: readonly unknown[]
}

function readExamples(): readonly Examples[] {
  try {
    const directory = join(dirname(createRequire(import.meta.url).resolve(PACKAGE)), '..')
    const files = globSync('*/index.json', { cwd: directory }).sort()
    return files.flatMap((file) => JSON.parse(readFileSync(join(directory, file), 'utf8')) as readonly Examples[])
  } catch (error) {
    throw new CommandError(
      ExitCode.failed,
      `The example webhooks are missing: the package ${PACKAGE} is not installed.`,
      `Run \`npm install\` in a checkout of Octoflow, or \`npm install --save-dev ${PACKAGE}\` elsewhere.`,
      { cause: error },
    )
  }
}

function toWebhook(event: string, payload: unknown): Webhook {
  const body = JSON.stringify(payload)
  return {
    event,
    body,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'GitHub-Hookshot/demo',
      'x-github-event': event,
      'x-github-delivery': randomUUID(),
      'x-github-hook-id': '1',
      'x-hub-signature-256': `sha256=${createHmac('sha256', SHARED_SECRET).update(body).digest('hex')}`,
    },
  }
}

/** The handler that works them off. */
export function exampleHandler(): string {
  const path = fileURLToPath(new URL('../../../../../examples/webhooks/handler.ts', import.meta.url))
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return path
  throw new CommandError(ExitCode.failed, `The example handler is missing: ${path}.`, 'Run the demo in a checkout of Octoflow.')
}
