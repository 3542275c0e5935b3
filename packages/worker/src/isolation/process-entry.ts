import { Worker } from 'node:worker_threads'
import { errorOf, serve } from './child.ts'
import type { FromChild, ToChild } from './messages.ts'

/** What a child process runs; its argument is the handler module's URL. */

// Ctrl+C reaches the whole process group, but it is the worker who decides when a job ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

// Whatever ends the worker closes the channel.
process.on('disconnect', () => process.exit(0))

process.on('uncaughtException', (error) => {
  send({ type: 'crashing', ...errorOf(error) }, () => process.exit(1))
})

const receive = serve(process.argv[2]!, (message) => {
  send(message)
  if (message.type === 'ready') watchParent()
})

process.on('message', (message: ToChild) => receive(message))

function send(message: FromChild, sent: () => void = () => undefined): void {
  // An error means that the channel is closed; the handler of `disconnect` deals with that.
  process.send!(message, undefined, undefined, sent)
}

/**
 * Kills this process when its parent has ended. Given as text, since loading a TypeScript file would take several times the
 * memory. A blocking read of a pipe from the parent would need no timer, but would keep the process from exiting.
 */
const WATCH = `
const { workerData: parent } = require('node:worker_threads')
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
}, 500)
`

/**
 * A handler that keeps the event loop busy would not notice that the channel has closed; a thread does, at the price of
 * 10 MB and 20 ms beside the event loop.
 */
function watchParent(): void {
  const resourceLimits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 }
  const thread = new Worker(WATCH, { eval: true, workerData: process.ppid, resourceLimits })
  // Without it the process can still do its work.
  thread.on('error', () => undefined)
  thread.unref()
}
