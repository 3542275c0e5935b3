import type { Readable, Writable } from 'node:stream'

type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** What a command sees of the process that runs it. */
export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly pid: number
  readonly platform: NodeJS.Platform
  /** The program that runs this one, to start others with. */
  readonly node: { readonly path: string; readonly version: string }
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Output
  readonly stderr: Output
  /** Calls back at SIGINT and SIGTERM instead of ending the process. @returns ends that. */
  onStopSignal(callback: (signal: NodeJS.Signals) => void): () => void
  /** Calls back at SIGHUP. @returns ends that. */
  onReloadSignal(callback: () => void): () => void
  /** Calls back with what was thrown and nobody caught. @returns ends that. */
  onCrash(callback: (error: unknown) => void): () => void
  /** Whether there is a process with this id. */
  isRunning(pid: number): boolean
  /** Ends the process at once. */
  exit(code: number): never
}

export function processHost(process: NodeJS.Process): Host {
  const listen = (signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void): (() => void) => {
    for (const signal of signals) process.on(signal, callback)
    return () => {
      for (const signal of signals) process.off(signal, callback)
    }
  }
  return {
    env: process.env,
    cwd: process.cwd(),
    pid: process.pid,
    platform: process.platform,
    node: { path: process.execPath, version: process.versions.node },
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    onStopSignal: (callback) => listen(['SIGINT', 'SIGTERM'], callback),
    onReloadSignal: (callback) => listen(['SIGHUP'], callback),
    onCrash(callback) {
      process.on('uncaughtException', callback)
      return () => process.off('uncaughtException', callback)
    },
    isRunning(pid) {
      try {
        return process.kill(pid, 0)
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'EPERM'
      }
    },
    exit: (code) => process.exit(code),
  }
}
