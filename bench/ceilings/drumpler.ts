import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { KEY } from '../server-process.ts'

const PACKAGES = ['drumpler==2.2.10', 'gunicorn', 'flask', 'flask-sqlalchemy', 'psutil']

const ENVIRONMENT = join(tmpdir(), 'octoflow-bench-drumpler')

/** The original, as its documentation has it run, in a virtual environment that is kept for the next time. */
export async function startDrumpler(): Promise<({ readonly url: string } & AsyncDisposable) | null> {
  if (!install()) return null
  const directory = mkdtempSync(join(tmpdir(), 'octoflow-bench-'))
  const port = await freePort()
  writeFileSync(
    join(directory, 'service.py'),
    `from drumpler import Drumpler\napp = Drumpler(authorization_key="${KEY}", database_uri="sqlite:///${directory}/drumpler.db", debug=False).app\n`,
  )
  const child = spawn(
    join(ENVIRONMENT, 'bin', 'gunicorn'),
    ['--workers', '2', '--preload', '--bind', `127.0.0.1:${port}`, 'service:app'],
    { cwd: directory, stdio: 'ignore' },
  )
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; tries < 100; tries++) {
    if (
      await fetch(url).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      break
    await sleep(100)
  }
  return {
    url,
    async [Symbol.asyncDispose]() {
      const exited = new Promise((resolve) => child.on('exit', resolve))
      child.kill('SIGTERM')
      await exited
    },
  }
}

function install(): boolean {
  if (existsSync(join(ENVIRONMENT, 'bin', 'gunicorn'))) return true
  try {
    mkdirSync(ENVIRONMENT, { recursive: true })
    execFileSync('python3', ['-m', 'venv', ENVIRONMENT], { stdio: 'ignore' })
    execFileSync(join(ENVIRONMENT, 'bin', 'pip'), ['install', '--quiet', ...PACKAGES], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
