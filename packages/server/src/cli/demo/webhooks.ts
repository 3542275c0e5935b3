import { createHmac, randomUUID } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
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

/** All example payloads of github.com, as webhooks. */
export function exampleWebhooks(): readonly Webhook[] {
  return readExamples().flatMap(({ name, examples }) => examples.map((payload) => toWebhook(name, payload)))
}

interface Examples {
  readonly name: string
  readonly examples: readonly unknown[]
}

function readExamples(): readonly Examples[] {
  try {
    return JSON.parse(readFileSync(createRequire(import.meta.url).resolve(PACKAGE), 'utf8')) as readonly Examples[]
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
