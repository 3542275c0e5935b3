import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { Directory } from './directory.ts'
import { buildFerretdb, isBuilt } from './ferretdb-build.ts'
import { fastDirectory } from './memory.ts'

/** The command that provides what is missing. */
export const INSTALL = 'apt-get install golang-go'

/** The first Go that fetches a newer one by itself, where the sources ask for it. */
const OLDEST_GO = [1, 21] as const

/** A real server that speaks MongoDB's protocol, with its data in a directory of its own, gone when disposed of. */
export class Ferretdb {
  readonly #program: string
  readonly #directory: Directory
  readonly #synchronous: 'full' | 'off'
  #url: string | null = null
  #process: ChildProcess | null = null

  private constructor(program: string, directory: Directory, synchronous: 'full' | 'off') {
    this.#program = program
    this.#directory = directory
    this.#synchronous = synchronous
  }

  /** @param onDisk syncs what it commits; else that survives the end of the process, not of the machine. */
  static async start({ onDisk = false }: { readonly onDisk?: boolean } = {}): Promise<Ferretdb> {
    const program = await buildFerretdb()
    const directory = await Directory.make(onDisk ? tmpdir() : fastDirectory())
    const server = new Ferretdb(program, directory, onDisk ? 'full' : 'off')
    await server.start()
    return server
  }

  /** Of the server; a database's name follows upon it. */
  get url(): string {
    if (this.#url === null) throw new Error('the server was not started')
    return this.#url
  }

  /** Starts it again, where it was. */
  async start(): Promise<void> {
    const address = this.#url === null ? '127.0.0.1:0' : new URL(this.#url).host
    const server = spawn(this.#program, [this.#directory.path, address, this.#synchronous], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#process = server
    this.#url = await new Promise<string>((resolve, reject) => {
      server.once('error', reject)
      server.once('exit', (code) => reject(new Error(`FerretDB ended with ${code} before it began`)))
      server.stdout.once('data', (line: Buffer) => resolve(line.toString().trim()))
    })
    // It ends with this process; this process does not wait for it.
    server.unref()
    for (const stream of [server.stdin, server.stdout]) (stream as unknown as { unref(): void }).unref()
  }

  /** Ends all connections and stops in order. */
  stop(): Promise<void> {
    return this.#end((server) => server.stdin!.end())
  }

  /** Stops as if the power were cut: what was committed is recovered at the next start. */
  kill(): Promise<void> {
    return this.#end((server) => server.kill('SIGKILL'))
  }

  /** Not an instruction of it runs until `resume()`, and its connections stay open. */
  freeze(): void {
    this.#process!.kill('SIGSTOP')
  }

  resume(): void {
    this.#process!.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    await this.#directory[Symbol.asyncDispose]()
  }

  #end(end: (server: ChildProcess) => void): Promise<void> {
    const server = this.#process
    this.#process = null
    if (server === null || server.exitCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      server.ref()
      server.once('exit', () => resolve())
      end(server)
    })
  }
}

/** What is missing on this machine, and how it comes there; `null` if nothing is. */
export async function missingForFerretdb(): Promise<string | null> {
  if (await isBuilt()) return null
  const found = await goVersion()
  const [major, minor] = OLDEST_GO
  if (found !== null && (found[0] > major || (found[0] === major && found[1] >= minor))) return null
  return `a server that speaks MongoDB’s protocol is built with Go ${OLDEST_GO.join('.')} or later: ${INSTALL}`
}

function goVersion(): Promise<readonly [major: number, minor: number] | null> {
  return new Promise((resolve) => {
    execFile('go', ['version'], (error, text) => {
      const [, major, minor] = /\bgo(\d+)\.(\d+)/.exec(text) ?? []
      resolve(error !== null || major === undefined ? null : [Number(major), Number(minor)])
    })
  })
}
