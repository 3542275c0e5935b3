import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Owner, whenDone } from '../support/owner.ts'
import { KEY } from '../support/server-process.ts'
import { within } from '../support/until.ts'

/** A worker of the folder `examples` in another language than ours. */
export interface Example {
  readonly name: string
  /** What is run, but for the queue, which comes after `command`. */
  readonly command: readonly string[]
  readonly handler: readonly string[]
  /** The commands it needs, and the packages of Debian that bring them. */
  readonly needs: Readonly<Record<string, string>>
}

const path = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url))

/** Does what the worker in Python does: shouts a text, after some seconds if it is told so. */
const SHOUT = `payload=$(cat); sleep "$(jq '.seconds // 0' <<<"$payload")"; jq '{ shouted: (.text | ascii_upcase) }' <<<"$payload"`

export const EXAMPLES: readonly Example[] = [
  {
    name: 'The worker in Python',
    command: ['python3', path('worker-python/worker.py')],
    handler: [],
    needs: { python3: 'python3' },
  },
  {
    name: 'The worker in shell',
    command: ['bash', path('worker-shell/worker.sh')],
    handler: ['bash', '-c', SHOUT],
    needs: { bash: 'bash', setsid: 'util-linux', curl: 'curl', jq: 'jq' },
  },
]

/** Why an example cannot run on this machine; `null` if it can. */
export function whyNot({ needs }: Example): string | null {
  const missing = Object.entries(needs).filter(([command]) => spawnSync('which', [command]).status !== 0)
  if (missing.length === 0) return null
  return `${missing.map(([command]) => command).join(', ')} missing: apt-get install ${missing.map(([, name]) => name).join(' ')}`
}

/**
 * Short, so that a job which is worked on for longer needs heartbeats; long enough for those of a busy machine to come in time,
 * where a worker in shell takes a second and more to start all that a heartbeat needs.
 */
export const LEASE_SECONDS = 6

/** An example at work as a process of its own. */
export class ExampleWorker {
  readonly ended: Promise<number | null>
  readonly #child: ChildProcess
  #said = ''

  /** @param commands a folder whose commands go before those of the machine. */
  constructor(owner: Owner, { command, handler }: Example, url: string, queue: string, commands?: string) {
    const [program, ...args] = command
    this.#child = spawn(program!, [...args, queue, ...handler], {
      env: {
        PATH: [...(commands ? [commands] : []), process.env.PATH].join(delimiter),
        OCTOFLOW_URL: url,
        OCTOFLOW_KEY: KEY,
        OCTOFLOW_LEASE: String(LEASE_SECONDS),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const streams = [this.#child.stdout!, this.#child.stderr!]
    for (const stream of streams)
      stream.on('data', (text) => {
        this.#said += text
      })
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', resolve)
    })
    whenDone(owner, () => this.#cleanUp())
  }

  /** What it has written so far. */
  get said(): string {
    return this.#said
  }

  /** Asks it to end and waits until it has. @returns its exit code. */
  stop(): Promise<number | null> {
    this.#child.kill('SIGTERM')
    return within(40, 'stopping the worker', this.ended)
  }

  async #cleanUp(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    await this.stop().catch((error) => {
      this.#child.kill('SIGKILL')
      throw error
    })
  }
}
