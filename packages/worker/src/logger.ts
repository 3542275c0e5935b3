import { inspect } from 'node:util'

export type LogFields = Readonly<Record<string, unknown>>

/** What the worker needs of a logger; pino, winston and the console can all be fitted to it. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

/** From the least to the most urgent. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Writes lines such as `2026-11-21T10:15:30.123Z WARN  Job 12 failed. queue=emails` to stderr. */
export function stderrLogger(least: LogLevel = 'info'): Logger {
  const write = (level: LogLevel, message: string, fields?: LogFields): void => {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(least)) return
    process.stderr.write(`${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${message}${fieldsText(fields)}\n`)
  }
  return fromLines(write)
}

/** A logger that adds `fields` to every line. */
export function withFields(logger: Logger, fields: LogFields): Logger {
  return fromLines((level, message, more) => logger[level](message, { ...fields, ...more }))
}

/** A logger made of one function. */
export function fromLines(write: (level: LogLevel, message: string, fields?: LogFields) => void): Logger {
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
  }
}

const fieldsText = (fields: LogFields = {}): string =>
  Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${valueText(value)}`)
    .join('')

function valueText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message)
  if (typeof value === 'string') return /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value)
  return inspect(value, { breakLength: Infinity, depth: 4 })
}
