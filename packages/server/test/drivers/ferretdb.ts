import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Directory } from './directory.ts'

const FERRETDB = 'github.com/FerretDB/FerretDB'

const SOURCE = join(import.meta.dirname, 'ferretdb')

/** A real server that speaks MongoDB's protocol, with its data in a directory of its own. */
export class Ferretdb {
  readonly url: string
  readonly #process: ChildProcess
  readonly #directory: Directory

  private constructor(url: string, process: ChildProcess, directory: Directory) {
    this.url = url
    this.#process = process
    this.#directory = directory
  }

  static async start(): Promise<Ferretdb> {
    const program = await build()
    const directory = await Directory.make()
    const server = spawn(program, [directory.path], { stdio: ['pipe', 'pipe', 'inherit'] })
    const url = await new Promise<string>((resolve, reject) => {
      server.once('error', reject)
      server.once('exit', (code) => reject(new Error(`FerretDB ended with ${code} before it began`)))
      server.stdout.once('data', (line: Buffer) => resolve(line.toString().trim()))
    })
    // It ends with this process; this process does not wait for it.
    server.unref()
    for (const stream of [server.stdin, server.stdout]) (stream as unknown as { unref(): void }).unref()
    return new Ferretdb(url, server, directory)
  }

  /** Stops the process where it stands, and lets it go on. */
  pause(): () => void {
    this.#process.kill('SIGSTOP')
    return () => this.#process.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
    await this.#directory[Symbol.asyncDispose]()
  }
}

/** What is missing on this machine, and how it comes there; `null` if nothing is. */
export async function missingForFerretdb(): Promise<string | null> {
  if (existsSync(await programPath())) return null
  try {
    await run('go', ['version'])
    return null
  } catch {
    return 'a server that speaks MongoDB’s protocol is built with Go: apt-get install golang-go'
  }
}

const run = promisify(execFile)

/** Builds the server, once for each version of its sources: that takes some minutes. */
async function build(): Promise<string> {
  const program = await programPath()
  if (existsSync(program)) return program
  await using workshop = await Directory.make()
  await cp(SOURCE, workshop.path, { recursive: true })
  const go = async (...args: string[]): Promise<string> => (await run('go', args, { cwd: workshop.path })).stdout.trim()
  await go('mod', 'download', FERRETDB)
  const source = join(workshop.path, 'source')
  await run('cp', ['-r', await go('list', '-m', '-f', '{{.Dir}}', FERRETDB), source])
  await run('chmod', ['-R', 'u+w', source])
  await correctIndexes(join(source, 'internal/backends/sqlite/metadata/registry.go'))
  await go('mod', 'edit', '-replace', `${FERRETDB}=./source`)
  await go('build', '-o', 'server', '.')
  await mkdir(dirname(program), { recursive: true })
  // Beside its place first: two processes may build at once, and none must start what is there by half.
  await copyFile(join(workshop.path, 'server'), `${program}.${process.pid}`)
  await rename(`${program}.${process.pid}`, program)
  return program
}

/**
 * FerretDB makes its indexes on another expression (`->"_id"`) than the one that it asks for documents by (`->'$._id'`), so
 * that SQLite reads a whole collection for each document that is updated: minutes where seconds would do.
 */
async function correctIndexes(path: string): Promise<void> {
  const text = await readFile(path, 'utf8')
  const corrected = text.replace(INDEXED, () => ASKED_FOR)
  assert.notEqual(corrected, text, `${path} is not what it was`)
  await writeFile(path, corrected)
}

const INDEXED = 'fields[j] = fmt.Sprintf("%q", f)'
const ASKED_FOR = `fields[j] = fmt.Sprintf("'$.%s'", f)`

async function programPath(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of ['go.mod', 'main.go']) hash.update(await readFile(join(SOURCE, file)))
  hash.update(ASKED_FOR)
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  return join(cache, 'octoflow-tests', `ferretdb-${hash.digest('hex').slice(0, 12)}`)
}
