import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const KEY = 'bench-key-0123456789'

const OCTOFLOW = new URL('../packages/server/bin/octoflow.js', import.meta.url).pathname
const COMMITS = new URL('./commits.ts', import.meta.url).href

const newDirectory = (): string => mkdtempSync(join(tmpdir(), 'octoflow-bench-'))

/** A process that serves HTTP: ours, or one it is compared with. */
export class ServerProcess implements AsyncDisposable {
  readonly url: string
  readonly data: string
  readonly child: ChildProcess

  private constructor(child: ChildProcess, url: string, data: string) {
    this.child = child
    this.url = url
    this.data = data
  }

  /** Octoflow, with its database in a directory of its own. */
  static octoflow(flags: readonly string[] = [], data = newDirectory()): Promise<ServerProcess> {
    return ServerProcess.start(process.execPath, [OCTOFLOW, 'serve', '--port', '0', '--data', data, ...flags], data)
  }

  /** Octoflow, with its commits counted; the counter makes the process larger by 20 MB and its start longer. */
  static octoflowCounted(): Promise<ServerProcess> {
    const data = newDirectory()
    const args = ['--import', COMMITS, OCTOFLOW, 'serve', '--port', '0', '--data', data]
    return ServerProcess.start(process.execPath, args, data)
  }

  /** Starts a program that prints `listening on URL` once it serves. */
  static async start(command: string, args: readonly string[], data = ''): Promise<ServerProcess> {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      env: { ...process.env, AUTHORIZATION_KEY: KEY, LOGGING_LEVEL: 'warn' },
    })
    const url = await new Promise<string>((resolve, reject) => {
      let output = ''
      child.stdout!.on('data', (chunk) => {
        output += chunk
        const match = /listening on (\S+)/.exec(output)
        if (match !== null) resolve(match[1]!)
      })
      child.on('exit', (code) => reject(new Error(`the server ended with ${code} before it listened`)))
    })
    return new ServerProcess(child, url, data)
  }

  /** Resident memory in bytes, now and at its highest. */
  memory(): { readonly now: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8')
    const kilobytes = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0)
    return { now: kilobytes('VmRSS') * 1024, peak: kilobytes('VmHWM') * 1024 }
  }

  /** Processor time used so far, in seconds, all threads together. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  /** How many transactions Octoflow, started with its commits counted, has committed so far. */
  async commits(): Promise<number> {
    const answer = once(this.child, 'message')
    this.child.send('commits')
    return (await answer)[0] as number
  }

  /** Bytes of the database's write-ahead log. */
  logBytes(): number {
    return statSync(join(this.data, 'octoflow.db-wal'), { throwIfNoEntry: false })?.size ?? 0
  }

  databaseBytes(): number {
    return statSync(join(this.data, 'octoflow.db')).size
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return
    const exited = new Promise((resolve) => this.child.on('exit', resolve))
    this.child.kill('SIGTERM')
    await exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    if (this.data !== '') rmSync(this.data, { recursive: true, force: true })
  }
}
