import { type Logger, pino } from 'pino'
import type { Config } from './config/compile.ts'

/** Logs go to standard error; standard output is for what a command has to say. */
const STDERR = 2

/**
 * The server's log: JSON lines, or text for people on a terminal.
 * @param terminal whether standard error is one.
 */
export async function createLogger({ logging }: Config, terminal: boolean): Promise<Logger> {
  const options = { level: logging.level, base: null }
  // Written at once, so that nothing is missing when the process ends; there is no line per request.
  if (logging.format === 'json' || (logging.format === 'auto' && !terminal))
    return pino(options, pino.destination({ dest: STDERR, sync: true }))
  const { default: pretty } = await import('pino-pretty')
  return pino(
    options,
    pretty({
      destination: STDERR,
      sync: true,
      // A line for each, so that a start does not fill the screen; errors still take as many as they need.
      singleLine: true,
      translateTime: 'HH:MM:ss.l',
      ignore: 'pid,hostname',
      colorize: terminal,
    }),
  )
}
