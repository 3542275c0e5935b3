import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Directory } from './directory.ts'
import { Lock } from './lock.ts'

const FERRETDB = 'github.com/FerretDB/FerretDB'

const SOURCE = join(import.meta.dirname, 'ferretdb')
const FILES = ['go.mod', 'go.sum', 'main.go', 'sqlite/candidates.go'] as const

const BACKEND = 'internal/backends/sqlite'

/** What is changed in a file of FerretDB's: from one text, or what stands between two, to another. */
interface Correction {
  readonly path: string
  readonly from: string
  readonly upto: string
  readonly to: string
}

/**
 * Where FerretDB asks SQLite for less than SQLite can do, so that it reads a whole collection for each document that is
 * updated: minutes where seconds would do. What it answers is the same.
 */
const CORRECTIONS: readonly Correction[] = [
  {
    // Its indexes are on another expression (`->"_id"`) than the one by which it asks for documents (`->'$._id'`).
    path: `${BACKEND}/metadata/registry.go`,
    from: 'fields[j] = fmt.Sprintf("%q", f)',
    upto: '',
    to: `fields[j] = fmt.Sprintf("'$.%s'", f)`,
  },
  {
    // Of all filters, it has SQLite see to a single `_id` alone.
    path: `${BACKEND}/collection.go`,
    from: 'var whereClause string',
    upto: 'q += whereClause',
    to: 'whereClause, args := candidatesClause(params.Filter)\n\n\t',
  },
]

const run = promisify(execFile)

export const isBuilt = async (): Promise<boolean> => existsSync(await programPath())

/**
 * Builds the server, once for each version of its sources: that takes some minutes, and whoever else wants it meanwhile waits.
 * @returns the program.
 */
export async function buildFerretdb(): Promise<string> {
  const program = await programPath()
  if (existsSync(program)) return program
  await mkdir(dirname(program), { recursive: true })
  using _ = await Lock.take(`${program}.lock`)
  if (!existsSync(program)) await build(program)
  return program
}

async function build(program: string): Promise<void> {
  await using workshop = await Directory.make()
  await cp(SOURCE, workshop.path, { recursive: true })
  const go = async (...args: string[]): Promise<string> => (await run('go', args, { cwd: workshop.path })).stdout.trim()
  await go('mod', 'download', FERRETDB)
  const source = join(workshop.path, 'source')
  await run('cp', ['-r', await go('list', '-m', '-f', '{{.Dir}}', FERRETDB), source])
  await run('chmod', ['-R', 'u+w', source])
  for (const correction of CORRECTIONS) await correct(source, correction)
  await copyFile(join(SOURCE, 'sqlite/candidates.go'), join(source, BACKEND, 'candidates.go'))
  await go('mod', 'edit', '-replace', `${FERRETDB}=./source`)
  await go('build', '-o', 'server', '.')
  // Beside its place first: who looks for it without the lock must not start what is there by half.
  await copyFile(join(workshop.path, 'server'), `${program}.new`)
  await rename(`${program}.new`, program)
}

async function correct(source: string, { path, from, upto, to }: Correction): Promise<void> {
  const text = await readFile(join(source, path), 'utf8')
  const start = text.indexOf(from)
  const end = text.indexOf(upto, start + from.length)
  assert.ok(start >= 0 && end >= 0, `${path} is not what it was`)
  await writeFile(join(source, path), text.slice(0, start) + to + text.slice(end))
}

async function programPath(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of FILES) hash.update(await readFile(join(SOURCE, file)))
  hash.update(JSON.stringify(CORRECTIONS))
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  return join(cache, 'octoflow-tests', `ferretdb-${hash.digest('hex').slice(0, 12)}`)
}
