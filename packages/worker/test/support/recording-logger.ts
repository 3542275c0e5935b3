import { fromLines, type LogFields, type Logger, type LogLevel } from '../../src/logger.ts'
import { Watched } from './watched.ts'

export interface Line {
  readonly level: LogLevel
  readonly message: string
  readonly fields: LogFields
}

/** Keeps what is logged and lets tests wait for it. */
export class RecordingLogger extends Watched {
  readonly lines: Line[] = []
  readonly logger: Logger = fromLines((level, message, fields = {}) => {
    this.lines.push({ level, message, fields })
    this.changed()
  })

  matching(pattern: RegExp): Line[] {
    return this.lines.filter(({ message }) => pattern.test(message))
  }

  untilLogged(pattern: RegExp): Promise<void> {
    return this.until(() => this.matching(pattern).length > 0)
  }
}
