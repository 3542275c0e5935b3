import { parentPort, workerData } from 'node:worker_threads'
import { serve } from './child.ts'
import type { ToChild } from './messages.ts'

/** What a worker thread runs; its data is the handler module's URL. */

const port = parentPort!

const receive = serve(workerData as string, (message) => port.postMessage(message))

port.on('message', (message: ToChild) => receive(message))
