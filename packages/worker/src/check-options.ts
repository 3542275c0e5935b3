import { inspect } from 'node:util'
import { LOG_LEVELS } from './logger.ts'
import { nearest } from './nearest.ts'
import type { WorkerOptions } from './options.ts'
import { WorkerError } from './worker-error.ts'

/** The server takes workers' ids of 256 characters; what makes the name unique needs some of them. */
export const LONGEST_NAME = 200

const LONGEST_QUEUE = 256

interface Rule {
  readonly fits: (value: unknown) => boolean
  /** Continues a sentence that begins with the option's name. */
  readonly must: string
}

const QUEUE: Rule = {
  fits: (value) => isText(value, LONGEST_QUEUE) && value.isWellFormed(),
  must: `must be the name of a queue, 1 to ${LONGEST_QUEUE} characters`,
}

const RULES: Readonly<Record<keyof WorkerOptions, Rule>> = {
  url: {
    fits: isServerUrl,
    must: 'must be the http or https address of the server, such as http://localhost:5000, without user and password',
  },
  authorizationKey: {
    fits: (value) => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value),
    must: 'must be a key, which has no spaces and no line breaks',
  },
  transport: {
    fits: (value) => hasMethods(value, ['claim', 'heartbeat', 'report', 'event']),
    must: 'must be an object with the methods claim, heartbeat, report and event',
  },
  customValue: QUEUE,
  queue: QUEUE,
  queues: {
    fits: (value) => Array.isArray(value) && value.length > 0 && value.every(QUEUE.fits),
    must: 'must be a list of at least one queue name',
  },
  process: {
    fits: isHandler,
    must: 'must be a function, or the path or file: URL of a module that exports a function named "process"',
  },
  isolation: {
    fits: (value) => value === 'inline' || value === 'thread' || value === 'process',
    must: 'must be "inline", "thread" or "process"',
  },
  concurrency: {
    fits: (value) => Number.isInteger(value) && isWithin(value, 1, 10_000),
    must: 'must be a whole number from 1 to 10000',
  },
  leaseSeconds: { fits: (value) => isWithin(value, 1, 86_400), must: 'must be a number of seconds from 1 to 86400' },
  name: { fits: (value) => isText(value, LONGEST_NAME), must: `must be a text of 1 to ${LONGEST_NAME} characters` },
  logger: {
    fits: (value) => hasMethods(value, LOG_LEVELS),
    must: 'must be an object with the methods debug, info, warn and error',
  },
  signals: {
    fits: (value) => typeof value === 'boolean' || (Array.isArray(value) && value.every(isSignal)),
    must: 'must be true, false or a list of signals such as ["SIGINT", "SIGTERM"]',
  },
  stopTimeoutSeconds: { fits: (value) => isWithin(value, 0, Infinity), must: 'must be a number of seconds, 0 or more' },
}

/** Errors: `options_invalid`, with everything that is wrong. An option that is `undefined` counts as left out. */
export function checkOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw invalid([`They must be an object, not ${inspect(options)}.`])
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const problems = given.flatMap(([name, value]) => problemsOf(name, value))
  problems.push(...contradictions(Object.fromEntries(given)))
  if (problems.length > 0) throw invalid(problems)
}

function problemsOf(name: string, value: unknown): string[] {
  if (!Object.hasOwn(RULES, name)) {
    const meant = nearest(name, Object.keys(RULES))
    return [`There is no option ${name}.${meant === null ? '' : ` Did you mean ${meant}?`}`]
  }
  const { fits, must } = RULES[name as keyof WorkerOptions]
  // A key is a secret, also one that is malformed.
  const found = name === 'authorizationKey' ? '' : `, not ${inspect(value, { depth: 1, maxStringLength: 100 })}`
  return fits(value) ? [] : [`${name} ${must}${found}.`]
}

function contradictions(given: Readonly<Partial<Record<string, unknown>>>): string[] {
  const problems: string[] = []
  const named = ['customValue', 'queue', 'queues'].filter((name) => name in given)
  if (named.length === 0) problems.push('customValue is missing: it names the queue whose jobs this worker takes.')
  if (named.length > 1) problems.push(`${named.join(' and ')} mean the same: give one of them.`)
  if (!('url' in given || 'transport' in given))
    problems.push('url is missing: the address of the server, such as http://localhost:5000.')
  if ('transport' in given && ('url' in given || 'authorizationKey' in given))
    problems.push('transport replaces url and authorizationKey: give it alone.')
  if (!('process' in given)) problems.push('process is missing: the function that does the work, or the path of its module.')
  if (typeof given.process === 'function' && (given.isolation ?? 'inline') !== 'inline')
    problems.push(
      `isolation ${inspect(given.isolation)} needs the path of a module: a function cannot be moved out of this thread. ` +
        'Export it as `process` from a file of its own, and pass new URL("./that-file.ts", import.meta.url).',
    )
  return problems
}

const invalid = (problems: readonly string[]): WorkerError =>
  new WorkerError(
    'options_invalid',
    `The worker’s options do not fit:\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
  )

const isText = (value: unknown, longest: number): value is string =>
  typeof value === 'string' && value.length >= 1 && value.length <= longest

const isWithin = (value: unknown, least: number, most: number): boolean =>
  typeof value === 'number' && value >= least && value <= most

const isSignal = (value: unknown): boolean => typeof value === 'string' && value.startsWith('SIG')

const hasMethods = (value: unknown, names: readonly string[]): boolean =>
  typeof value === 'object' &&
  value !== null &&
  names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')

function isServerUrl(value: unknown): boolean {
  const url = value instanceof URL ? value : typeof value === 'string' ? URL.parse(value) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false
  return url.username === '' && url.password === ''
}

function isHandler(value: unknown): boolean {
  if (value instanceof URL) return value.protocol === 'file:'
  return typeof value === 'function' || (typeof value === 'string' && value !== '')
}
