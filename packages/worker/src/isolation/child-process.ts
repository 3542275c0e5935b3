import { fork } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChildListener, ChildPort, OpenChild } from './child-port.ts'
import type { FromChild } from './messages.ts'

export const openProcess: OpenChild = (href: string, listener: ChildListener): ChildPort => {
  const entry = fileURLToPath(new URL(`./process-entry${extname(import.meta.filename)}`, import.meta.url))
  const child = fork(entry, [href], debuggerFree())
  const last: LastWords = { how: null, detail: null }
  let connected = true
  const endIfOver = (): void => {
    // Messages may still be on their way when the process has exited; none comes after the channel has closed.
    if (last.how !== null && !connected) listener.ended(last.how, last.detail)
  }
  child.on('message', (message: FromChild) => {
    if (message.type === 'crashing') Object.assign(last, { error: message.message, detail: message.detail })
    else listener.message(message)
  })
  child.on('error', (error) => {
    // Emitted when the process could not be started, and then `exit` does not follow.
    if (child.pid !== undefined) return
    last.how = `could not be started: ${error.message}`
    connected = false
    endIfOver()
  })
  child.on('disconnect', () => {
    connected = false
    endIfOver()
  })
  child.on('exit', (code, signal) => {
    last.how = last.error === undefined ? exitText(code, signal) : `ended by an uncaught error: ${last.error}`
    endIfOver()
  })
  return {
    label: `process ${child.pid ?? '?'}`,
    // The callback takes the error of a channel that has closed.
    send: (message) => void child.send(message, () => undefined),
    kill: () => void child.kill('SIGKILL'),
  }
}

/** Two processes cannot share a debugger's port. */
function debuggerFree(): { readonly execArgv?: string[] } {
  const execArgv = process.execArgv.filter((option) => !option.startsWith('--inspect'))
  return execArgv.length === process.execArgv.length ? {} : { execArgv }
}

interface LastWords {
  /** `null` as long as the process lives. */
  how: string | null
  error?: string
  detail: string | null
}

const exitText = (code: number | null, signal: NodeJS.Signals | null): string =>
  signal === null ? `ended with exit code ${code}` : `was killed by ${signal}`
