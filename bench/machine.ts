import { execFileSync } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { median } from './runs.ts'

/** The machine and the versions, as lines for the report. */
export async function describeMachine(): Promise<string[]> {
  const processors = cpus()
  return [
    `${processors.length} × ${processors[0]?.model.trim()}, ${Math.round(totalmem() / 1024 ** 3)} GiB, Linux ${release()}`,
    `Node ${process.versions.node}, SQLite ${sqliteVersion()}, ${commandVersion('wrk', '-v')}`,
    `8 kB written and synced (fdatasync), median of 500: ${syncMicroseconds()} µs`,
    `Measured on ${new Date().toISOString().slice(0, 10)}`,
  ]
}

function sqliteVersion(): string {
  const db = new DatabaseSync(':memory:')
  const { version } = db.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  db.close()
  return version
}

function commandVersion(command: string, flag: string): string {
  try {
    return execFileSync(command, [flag], { encoding: 'utf8' }).split('\n')[0]!.split(' [')[0]!
  } catch (error) {
    // wrk prints its version and exits with 1.
    const output = String((error as { stdout?: unknown }).stdout ?? '')
    return output === '' ? `no ${command}` : output.split('\n')[0]!.split(' [')[0]!
  }
}

function syncMicroseconds(): number {
  const path = join(tmpdir(), `octoflow-sync-${process.pid}`)
  const file = openSync(path, 'w')
  const block = Buffer.alloc(8192, 1)
  const times: number[] = []
  for (let i = 0; i < 500; i++) {
    const begun = performance.now()
    writeSync(file, block)
    fdatasyncSync(file)
    times.push((performance.now() - begun) * 1000)
  }
  closeSync(file)
  rmSync(path)
  return Math.round(median(times))
}
