import node from 'node:process'
import { type Isolation, Worker } from '../../src/index.ts'

/** A worker program, as users write it: url, key and isolation come from the environment. */
const worker = new Worker({
  url: node.env.WORKER_URL!,
  authorizationKey: node.env.WORKER_KEY,
  customValue: 'q',
  concurrency: 1,
  isolation: node.env.WORKER_ISOLATION as Isolation,
  process: new URL('./tasks.ts', import.meta.url),
})

await worker.run()
