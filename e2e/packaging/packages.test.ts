import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { JobDetail, Submitted } from '@octoflow/protocol'
import { startOctoflow } from '../support/octoflow.ts'
import { temporaryDirectory, whenDone } from '../support/owner.ts'
import { KEY } from '../support/server-process.ts'
import { until, within } from '../support/until.ts'

const run = promisify(execFile)

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const USER = fileURLToPath(new URL('./user', import.meta.url))

const PACKAGES = ['protocol', 'worker', 'server']

suite('The packages as they are published', () => {
  const owner = { after }
  /** The user's project, with the packages installed as from the registry. */
  const project = temporaryDirectory(owner)
  const dist = temporaryDirectory(owner)
  const tarballs = temporaryDirectory(owner)
  const command = join(project, 'node_modules/.bin/octoflow')

  before(async () => {
    await run(process.execPath, [join(ROOT, 'scripts/build.ts'), dist])
    for (const name of PACKAGES) await run('npm', ['pack', '--pack-destination', tarballs], { cwd: join(dist, name) })
    writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
    const files = globSync('*.tgz', { cwd: tarballs }).map((file) => join(tarballs, file))
    assert.equal(files.length, PACKAGES.length)
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...files], { cwd: project })
    cpSync(USER, project, { recursive: true })
  })

  test('have JavaScript, declarations and what is read beside them, and no TypeScript.', () => {
    for (const [name, folder] of Object.entries({
      octoflow: 'octoflow',
      worker: '@octoflow/worker',
      protocol: '@octoflow/protocol',
    })) {
      const at = join(project, 'node_modules', folder)
      const files = globSync('**/*', { cwd: at, exclude: ['node_modules/**'] })
      assert.deepEqual(
        files.filter((file) => /(?<!\.d)\.ts$/.test(file)),
        [],
        name,
      )
      assert.ok(files.includes('LICENSE') && files.includes('package.json'), name)
      assert.ok(files.includes(name === 'octoflow' ? 'src/main.js' : 'src/index.js'), name)
      const manifest = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as Record<string, unknown>
      assert.equal(manifest.scripts, undefined, `${name} runs nothing when it is installed`)
    }
    assert.ok(existsSync(join(project, 'node_modules/octoflow/src/storage/drivers/sqlite/migrations/0001_initial.sql')))
    assert.ok(existsSync(join(project, 'node_modules/@octoflow/worker/README.md')))
  })

  test('bring the command `octoflow`.', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'packages/server/package.json'), 'utf8')) as { version: string }
    const { stdout } = await run(process.execPath, [command, '--version'], { cwd: project })
    assert.match(stdout.trim(), new RegExp(`${version.replaceAll('.', '\\.')}$`))
    const { stdout: document } = await run(process.execPath, [command, 'openapi'], {
      cwd: project,
      maxBuffer: 2 ** 24,
    })
    assert.equal((JSON.parse(document) as { readonly openapi: string }).openapi, '3.1.0')
  })

  test('have types that hold for a program that uses them, without leave to skip declarations.', async () => {
    const compilerOptions = {
      module: 'nodenext',
      target: 'esnext',
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      erasableSyntaxOnly: true,
      skipLibCheck: false,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    }
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
    const { stdout } = await run(join(ROOT, 'node_modules/.bin/tsc'), ['--project', project]).catch(
      (error: { readonly stdout: string }) => error,
    )
    assert.equal(stdout, '')
  })

  test('serve, and work jobs off in all three isolations and in the server itself.', async (t) => {
    const handlers = join(project, 'handlers')
    mkdirSync(handlers)
    cpSync(join(project, 'handler.ts'), join(handlers, 'inside.ts'))
    const flags = ['--app', project, '--handlers', 'handlers']
    const { client, server } = await startOctoflow(t, { command, flags })
    const worker = spawn(process.execPath, ['worker.ts'], {
      cwd: project,
      env: { PATH: process.env.PATH, OCTOFLOW_URL: server.url, AUTHORIZATION_KEY: KEY },
      stdio: 'ignore',
    })
    const ended = new Promise<number | null>((resolve) => worker.once('exit', resolve))
    whenDone(t, () => void worker.kill('SIGKILL'))

    for (const queue of ['inline', 'thread', 'process', 'inside']) {
      const { id } = (await client.post('/api/v1/jobs', { json: { queue, payload: { name: queue } } })).json as Submitted
      const job = await until(
        async () => {
          const found = (await client.get(`/api/v1/jobs/${id}`)).json as JobDetail
          return (found.state === 'completed' || found.attempts.some(({ error }) => error !== null)) && found
        },
        { what: `the job in the queue ${queue} has ended`, withinSeconds: 20 },
      )
      assert.deepEqual([job.state, job.result], ['completed', { greeting: `Hello ${queue}` }])
    }
    worker.kill('SIGTERM')
    assert.equal(await within(20, 'stopping the worker', ended), 0)
  })
})
