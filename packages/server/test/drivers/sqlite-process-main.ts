import { openSqlite } from '../../src/storage/drivers/sqlite/index.ts'
import { COMPLETED, LEASE, NOW, newRequest, QUEUE, range } from '../conformance/harness.ts'
import type { Order, Tale } from './sqlite-process.ts'
import { openAt } from './sqlite-storage.ts'

const tell = (tale: Tale): void => {
  process.send?.(tale)
}

async function migrate(path: string): Promise<void> {
  const storage = openAt(path)
  const versions = await storage.migrations.migrate({ now: NOW })
  await storage.close()
  tell({ kind: 'migrated', versions })
}

function own(path: string): void {
  openSqlite({ path, exclusive: true, onError: console.error })
  tell({ kind: 'owns' })
}

async function work(path: string): Promise<void> {
  const storage = openAt(path)
  await storage.migrations.migrate({ now: NOW })
  const submit = async (): Promise<void> => {
    const items = range(1, 20).map((n) => newRequest({ body: JSON.stringify('x'.repeat(n * 40)) }))
    while (true) tell({ kind: 'submitted', ids: (await storage.requests.submit({ now: NOW, items })).map(({ id }) => id) })
  }
  const complete = async (): Promise<void> => {
    while (true) {
      const { jobs } = await storage.leases.claim({ now: NOW, queue: QUEUE, worker: 'w', limit: 15, lease: LEASE })
      const reports = jobs.map(({ id, fence }) => ({ id, fence, outcome: COMPLETED, finishedAt: null, events: [] }))
      await storage.leases.report({ now: NOW, reports })
      tell({ kind: 'completed', ids: jobs.map(({ id }) => id) })
    }
  }
  await Promise.all([submit(), complete(), submit(), complete()])
}

const ORDERS = { migrate, own, work } as const

process.on('message', async ({ do: what, path }: Order) => {
  try {
    await ORDERS[what](path)
  } catch (error) {
    tell({ kind: 'failed', message: (error as Error).message })
  }
})
// Ends with the test, however that ends.
process.on('disconnect', () => process.exit())

tell({ kind: 'waiting' })
