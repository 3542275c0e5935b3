import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { ChildListener, ChildPort, OpenChild } from './child-port.ts'
import type { FromChild } from './messages.ts'

export const openThread: OpenChild = (href: string, listener: ChildListener): ChildPort => {
  const entry = new URL(`./thread-entry${extname(import.meta.filename)}`, import.meta.url)
  const thread = new Worker(entry, { workerData: href, name: 'octoflow' })
  let error: Error | null = null
  thread.on('message', (message: FromChild) => listener.message(message))
  thread.on('error', (thrown) => {
    error = thrown instanceof Error ? thrown : new Error(String(thrown))
  })
  thread.on('exit', (code) => {
    const how = error === null ? `ended with exit code ${code}` : howItCrashed(error)
    listener.ended(how, error?.stack ?? null)
  })
  return {
    label: `thread ${thread.threadId}`,
    send: (message) => thread.postMessage(message),
    kill: () => void thread.terminate(),
  }
}

const howItCrashed = (error: Error): string =>
  (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'ran out of memory'
    : `ended by an uncaught error: ${error.message}`
