import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import node from 'node:process'
import { threadId } from 'node:worker_threads'
import type { CapturedRequest, Job } from '../../src/index.ts'

/** What a job of the tests asks for. */
export interface Task {
  readonly do: keyof typeof TASKS
  readonly milliseconds?: number
  readonly port?: number
  readonly file?: string
}

// A child that finds this file when it starts takes it away and crashes.
const trap = node.env.CRASH_AT_START
if (trap !== undefined && existsSync(trap)) {
  rmSync(trap)
  node.exit(7)
}

export function process({ body }: CapturedRequest<Task>, job: Job): unknown {
  return TASKS[body.do](body, job)
}

const TASKS = {
  echo: ({ milliseconds }: Task) => ({ milliseconds, where: node.pid * 1_000 + threadId }),
  false: () => false,
  throw: () => {
    throw Object.assign(new Error('broken'), { code: 'BROKEN' })
  },
  bigint: () => 1n,
  say: async (_task: Task, job: Job) => {
    await job.event('one', { n: 1 })
    job.log('warn', 'two')
    job.progress(0.5, 'half')
    job.logger.info('three', { error: new Error('shown'), big: 1n })
    await job.event('four')
    return job.labels
  },
  obey: async (task: Task, job: Job) => {
    await fired(job.signal)
    if (task.file === 'completes') return job.signal.reason.code
    throw job.signal.reason
  },
  /** Ends at once, and goes on talking when it is told to over its connection. */
  late: async ({ port }: Task, job: Job) => {
    const socket = await connected(port!)
    socket.once('data', () => {
      void job.event('late')
      job.log('info', 'late')
      job.progress(1)
      job.logger.info('late')
      socket.destroy()
    })
    return true
  },
  exit: () => node.exit(3),
  kill: () => node.kill(node.pid, 'SIGKILL'),
  uncaught: () => {
    setImmediate(() => {
      throw new Error('nobody catches this')
    })
    return new Promise(() => undefined)
  },
  exhaust: () => {
    const kept: unknown[] = []
    while (true) kept.push(Array.from({ length: 10_000 }, (_, index) => ({ index })))
  },
  spin: ({ milliseconds = 0 }: Task) => {
    const end = performance.now() + milliseconds
    while (performance.now() < end);
    return 'spun'
  },
  /** Keeps a connection open while it lives, and keeps the event loop busy for ever. */
  hang: async ({ port }: Task) => {
    await connected(port!)
    while (true);
  },
  /** Ends well as soon as it is told to over its connection. */
  wait: async ({ port }: Task, job: Job) => {
    const socket = await connected(port!)
    await Promise.race([fired(job.signal), new Promise((resolve) => socket.once('data', resolve))])
    socket.destroy()
    job.signal.throwIfAborted()
    return 'told'
  },
  trap: ({ file }: Task) => {
    writeFileSync(file!, '')
    node.exit(1)
  },
} as const

const connected = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket)).on('error', reject)
  })

const fired = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
