import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface WrkResult {
  readonly requestsPerSecond: number
  readonly p50: number
  /** Milliseconds. */
  readonly p99: number
  readonly errors: number
}

const pathOf = (script: string): string => new URL(`./${script}`, import.meta.url).pathname

/**
 * Drives an address with wrk, one thread.
 * @param script the script beside this file that makes the requests, which gets the key and `argument`.
 */
export async function wrk(
  url: string,
  options: {
    readonly seconds: number
    readonly connections: number
    readonly key: string
    readonly script: string
    readonly argument: string | number
  },
): Promise<WrkResult> {
  const { seconds, connections, key, script, argument } = options
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '-s', pathOf(script), url, '--', key, String(argument)]
  const { stdout } = await promisify(execFile)('wrk', args)
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? 0)
  return {
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    p99: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
    errors: number(/Non-2xx or 3xx responses: (\d+)/) + number(/Socket errors: connect (\d+)/),
  }
}

function milliseconds(match: RegExpExecArray | null): number {
  if (match === null) return Number.NaN
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1000 }[match[2] as 'us' | 'ms' | 's']
}
