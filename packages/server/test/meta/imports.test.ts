import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, readdirSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

const ROOT = join(import.meta.dirname, '../../../..')
const BIOME = createRequire(join(ROOT, 'package.json')).resolve('@biomejs/biome/bin/biome')

const CORE = /The core knows no adapter/
const TECHNOLOGY = /The core is free of technologies/
const DRIVER = /A driver implements the storage contract and knows nothing above it/
const ADAPTERS = /adapters never import each other/i
const NO_RULE = /This folder has no rule yet/

/** What each folder must not contain, and the reason that the linter gives. */
const BROKEN: readonly (readonly [folder: string, code: string, reason: RegExp])[] = [
  ['server/src/lib', "import '../errors/catalogue.ts'", /lib holds tiny pure helpers/],
  ['server/src/lib', "import '../model/job.ts'", /lib holds tiny pure helpers/],
  ['server/src/lib', "import 'node:fs/promises'", /lib holds tiny pure helpers/],
  ['server/src/errors', "import '../model/job.ts'", /errors may use lib alone/],
  ['server/src/errors', "import 'fastify'", /errors may use lib alone/],
  ['server/src/model', "import '../core/ports.ts'", /The model is pure/],
  ['server/src/model', "import '../storage/contract/jobs.ts'", /The model is pure/],
  ['server/src/model', "import 'node:sqlite'", /The model is pure/],
  ['server/src/model', "import '@octoflow/protocol'", /The model is pure/],
  ['server/src/storage/contract', "import '../drivers/sqlite/index.ts'", /The storage contract speaks the domain/],
  ['server/src/storage/contract', "import '../../core/ports.ts'", /The storage contract speaks the domain/],
  ['server/src/storage/contract', "import 'pg'", /The storage contract speaks the domain/],
  ['server/src/core', "import '../http/server.ts'", CORE],
  ['server/src/core/jobs', "import '../../storage/drivers/sqlite/index.ts'", CORE],
  ['server/src/core', "import '../handlers/handler-host.ts'", CORE],
  ['server/src/core', "import '../oauth/oidc-verifier.ts'", CORE],
  ['server/src/core', "import '../config/load.ts'", CORE],
  ['server/src/core', "import '../compose.ts'", CORE],
  ['server/src/core', "import '@octoflow/protocol'", CORE],
  ['server/src/core', "import 'fastify'", TECHNOLOGY],
  ['server/src/core', "import '@platformatic/kafka'", TECHNOLOGY],
  ['server/src/core', "import 'node:sqlite'", TECHNOLOGY],
  ['server/src/core', "import 'node:fs'", TECHNOLOGY],
  ['server/src/core', 'export const now = Date.now()', /The time comes from the Clock/],
  ['server/src/core', 'export const now = performance.now()', /The time comes from the Clock/],
  ['server/src/core', 'setTimeout(() => undefined, 1)', /Use clock\.after\(\)/],
  ['server/src/core', 'export const { pid } = process', /The core does not know its process/],
  ['server/src/core', 'export const { pid } = globalThis.process', /behind this name any other global/],
  ['server/src/core', "export type { Host } from '../cli/host.ts'", CORE],
  ['server/src/core', "import type { Host } from '../cli/host.ts'\nexport type A = Host", CORE],
  ['server/src/core', "export const host = await import('../cli/host.ts')", CORE],
  ['server/src/core/jobs', "import '../../logger.ts'", CORE],
  // Folders of others may have the names of its own.
  ['server/src/core/jobs', "import '../../cli/jobs/view.ts'", CORE],
  ['server/src/core', "export type Host = import('../cli/host.ts').Host", /Import the type at the head of the file/],
  ['server/src/core', "export type Fs = typeof import('node:fs')", /Import the type at the head of the file/],
  ['server/src/storage/drivers/sqlite', "import '../../../core/ports.ts'", DRIVER],
  ['server/src/storage/drivers/sqlite', "import '../postgres/index.ts'", DRIVER],
  ['server/src/storage/drivers/sqlite', "import '../../../http/server.ts'", DRIVER],
  ['server/src/storage/drivers/sqlite/below', "import '../../postgres/index.ts'", DRIVER],
  ['server/src/storage/drivers/sqlite', "import '../../../core/model/job.ts'", DRIVER],
  ['server/src/storage/sql', "import '../drivers/sqlite/index.ts'", DRIVER],
  ['server/src/storage/drivers/postgres', "import '../sqlite/index.ts'", DRIVER],
  ['server/src/storage/drivers/mysql', "import '../postgres/index.ts'", DRIVER],
  ['server/src/http', "import '../storage/drivers/sqlite/index.ts'", ADAPTERS],
  ['server/src/http/plugins', "import '../../compose.ts'", ADAPTERS],
  ['server/src/http/apis/native', "import '../../../handlers/handler-host.ts'", ADAPTERS],
  ['server/src/http/plugins', "import '../../oauth/oidc-verifier.ts'", ADAPTERS],
  ['server/src/http', "import '../config/load.ts'", ADAPTERS],
  ['server/src/http/plugins', "import '../../handlers/lib/load.ts'", ADAPTERS],
  ['server/src/handlers', "import '../http/server.ts'", ADAPTERS],
  ['server/src/handlers', "import '../oauth/oidc-verifier.ts'", ADAPTERS],
  ['server/src/oauth', "import '../http/server.ts'", ADAPTERS],
  ['server/src/oauth', "import '../storage/drivers/sqlite/index.ts'", ADAPTERS],
  ['server/src/config', "import '../core/ports.ts'", /The configuration is read before anything is built/],
  ['server/src/config', "import '../model/job.ts'", /The configuration is read before anything is built/],
  ['server/src/config', 'export const { env } = process', /main\.ts alone knows the process/],
  ['server/src/cli/jobs', "import '../../main.ts'", /Only main\.ts knows the process/],
  ['server/src/newcomer', "import '../lib/time.ts'", NO_RULE],
  ['server/src/newcomer', "import 'node:fs'", NO_RULE],
  ['server/src/storage/newcomer', "import '../contract/jobs.ts'", NO_RULE],
  ['protocol/src', "import 'node:fs'", /The protocol is shared/],
  ['protocol/src', "import '@octoflow/worker'", /The protocol is shared/],
  ['worker/src', "import 'octoflow'", /The worker SDK speaks to the server over the protocol alone/],
  ['worker/src', "import 'typebox'", /The worker SDK speaks to the server over the protocol alone/],
]

/** Files that have rules of their own, and a line that each of them must not have. */
const BROKEN_FILES: readonly (readonly [file: string, code: string, reason: RegExp])[] = [
  ['server/src/compose.ts', "import './main.ts'", /compose\.ts builds the server for whoever asks/],
  ['server/src/compose.ts', "import './cli/host.ts'", /compose\.ts builds the server for whoever asks/],
  ['server/src/main.ts', "import './compose.ts'", /main\.ts hands its process to the command line/],
]

/** Every folder that must have a rule, by what is there. */
const FOLDERS = ['server/src', 'server/src/storage', 'server/src/storage/drivers'].flatMap((parent) =>
  readdirSync(join(ROOT, 'packages', parent), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'storage' && entry.name !== 'drivers')
    .map(({ name }) => `${parent}/${name}`),
)

const copy = await realpath(await mkdtemp(join(tmpdir(), 'octoflow-imports-')))
after(() => rm(copy, { recursive: true }))
for (const file of [
  'biome.json',
  'scripts/lint',
  '.gitignore',
  'packages/server/src',
  'packages/protocol/src',
  'packages/worker/src',
])
  cpSync(join(ROOT, file), join(copy, file), { recursive: true })

/** What the linter says of each file of the copy. */
async function lint(): Promise<ReadonlyMap<string, readonly string[]>> {
  const args = ['lint', '--colors=off', '--max-diagnostics=none', '--diagnostic-level=error', '.']
  // It ends with 1 when it finds something.
  const said = await run(process.execPath, [BIOME, ...args], { cwd: copy, maxBuffer: 2 ** 26 }).catch(
    (error: { readonly stdout: string; readonly stderr: string }) => error,
  )
  const text = said.stdout + said.stderr
  assert.match(text, /^Checked \d+ files/m, `the linter did not run: ${text}`)
  const sections = text.split(/^(?=packages\/\S+:\d+:\d+ \S+ ━)/m).filter((section) => section.startsWith('packages/'))
  return Map.groupBy(sections, (section) => section.slice(0, section.indexOf(':')))
}

interface Probe {
  readonly path: string
  readonly code: string
}

const inFolders = BROKEN.map(([folder, code, reason], at) => ({
  path: join('packages', folder, `probe-${at}.ts`),
  code,
  reason,
}))
const inFiles = BROKEN_FILES.map(([file, code, reason]) => ({ path: join('packages', file), code, reason }))
const importsOfMain = FOLDERS.map((folder) => {
  const up = '../'.repeat(folder.split('/').length - 2)
  return { path: join('packages', folder, 'probe-main.ts'), code: `import '${up}main.ts'` }
})

function add({ path, code }: Probe): void {
  mkdirSync(dirname(join(copy, path)), { recursive: true })
  appendFileSync(join(copy, path), `${code}\n`)
}

/** One run tells of all files that were added; a line added to a file of the code may break a rule elsewhere, too. */
const inNewFiles: readonly Probe[] = [...inFolders, ...importsOfMain]
for (const probe of inNewFiles) add(probe)
const found = await lint()
for (const probe of inFiles) add(probe)
const foundInFiles = await lint()

const NOTHING: readonly string[] = ['the linter has nothing against it']
const saidOf = ({ path }: Probe): string => (found.get(path) ?? foundInFiles.get(path) ?? NOTHING).join('\n')

test('The code as it is breaks no rule: only the files that were added do.', () => {
  assert.deepEqual([...found.keys()].sort(), inNewFiles.map(({ path }) => path).sort())
})

for (const { reason, ...probe } of [...inFolders, ...inFiles])
  test(`What the architecture forbids is an error that gives its reason: ${probe.path} may not say ${probe.code}.`, () => {
    assert.match(saidOf(probe), reason)
  })

for (const probe of importsOfMain)
  test(`Every folder of the server has a rule of its own, and none may import main.ts: ${dirname(probe.path)}.`, () => {
    assert.match(saidOf(probe), /noRestrictedImports/)
    assert.doesNotMatch(saidOf(probe), NO_RULE)
  })
