import { openMongodb } from '../../packages/server/src/storage/drivers/mongodb/index.ts'
import { Ferretdb } from '../../packages/server/test/drivers/ferretdb.ts'
import { MongodbByHand } from '../ceilings/mongodb-by-hand.ts'
import { besideHand } from '../load/beside-hand.ts'
import { BATCH } from '../load/storage-load.ts'
import type { BenchOptions } from '../main.ts'
import type { Report } from '../report.ts'

/**
 * The MongoDB driver on FerretDB, beside the same queue by hand; MongoDB itself is not measured. FerretDB commits and syncs each
 * document that is updated by itself, which is two syncs a job for either candidate and takes most of the time.
 */
export async function mongodb({ runs, scale }: BenchOptions): Promise<Report> {
  await using server = await Ferretdb.start({ onDisk: true })
  let databases = 0
  const { setup, ...measured } = await besideHand({
    count: Math.ceil((2_000 * scale) / BATCH) * BATCH,
    few: Math.ceil((1_000 * scale) / BATCH) * BATCH,
    runs,
    withDatabase: (use) => use(`${server.url}bench_${++databases}`),
    // It says at each start that the server is a single node.
    open: (url) => openMongodb({ url, onError: () => undefined }),
    openByHand: MongodbByHand.open,
  })
  return {
    suite: 'mongodb',
    title: 'FerretDB, in the place of MongoDB',
    setup: [
      'FerretDB 1.24 on SQLite as the tests build it, every commit synced; it syncs each updated document by itself. MongoDB itself was not measured',
      'by hand: the official driver, one collection with one index, the same batches and loops, claims by one at a time, history kept; no requests, limits, leases, lists or counts',
      ...setup,
    ],
    ...measured,
  }
}
