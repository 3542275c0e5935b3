/**
 * Makes the packages as they are published: JavaScript with declarations instead of TypeScript, which Node does not run inside
 * node_modules. In a checkout nothing needs this.
 *
 *   node scripts/build.ts          into dist/
 *   node scripts/build.ts DIR      into DIR
 */
import { execFileSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const DIST = resolve(process.argv[2] ?? join(ROOT, 'dist'))
const PACKAGES = ['protocol', 'worker', 'server']

/** What is published beside the code. */
const ASSETS = ['**/*.sql', '**/*.json']

rmSync(DIST, { recursive: true, force: true })
for (const name of PACKAGES) build(name)

function build(name: string): void {
  const from = join(ROOT, 'packages', name)
  const to = join(DIST, name)
  mkdirSync(to, { recursive: true })
  const project = join(to, 'tsconfig.json')
  writeFileSync(project, JSON.stringify(tsconfig(from, to)))
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['--project', project], { stdio: 'inherit' })
  rmSync(project)

  for (const file of globSync(ASSETS, { cwd: join(from, 'src') })) copy(join(from, 'src', file), join(to, 'src', file))
  for (const file of globSync(['bin/*', 'README.md'], { cwd: from })) copy(join(from, file), join(to, file))
  copy(join(ROOT, 'LICENSE'), join(to, 'LICENSE'))
  for (const file of globSync(['src/**/*.js', 'bin/*.js'], { cwd: to })) renameReferences(join(to, file))
  writeFileSync(join(to, 'package.json'), `${JSON.stringify(manifest(from), null, 2)}\n`)
  console.log(`built ${relative(process.cwd(), to)}`)
}

function tsconfig(from: string, to: string): object {
  return {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      rewriteRelativeImportExtensions: true,
      rootDir: join(from, 'src'),
      outDir: join(to, 'src'),
      typeRoots: [join(ROOT, 'node_modules', '@types')],
    },
    include: [join(from, 'src')],
  }
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to)
}

/** The compiler rewrites imports, but not the names of files that threads and processes are started from. */
function renameReferences(file: string): void {
  const text = readFileSync(file, 'utf8')
  const renamed = text
    .replace(/new URL\((['"])(\.[^'"]+)\.ts\1/g, 'new URL($1$2.js$1')
    .replace(/import\((['"])(\.[^'"]+)\.ts\1\)/g, 'import($1$2.js$1)')
  if (renamed !== text) writeFileSync(file, renamed)
}

function manifest(from: string): object {
  const { exports: source, ...rest } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'))
  return {
    ...rest,
    ...(source !== undefined && { exports: { '.': { types: './src/index.d.ts', default: './src/index.js' } } }),
    files: ['src', 'bin'],
    repository: {
      type: 'git',
      url: 'git+https://github.com/octoflow/octoflow.git',
      directory: `packages/${from.split('/').at(-1)}`,
    },
    publishConfig: { access: 'public' },
  }
}
