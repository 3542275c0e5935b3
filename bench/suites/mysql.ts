import { openMysql } from '../../packages/server/src/storage/drivers/mysql/index.ts'
import { MysqlServer } from '../../packages/server/test/drivers/mysql-server.ts'
import { MysqlByHand } from '../ceilings/mysql-by-hand.ts'
import { besideHand } from '../load/beside-hand.ts'
import { BATCH } from '../load/storage-load.ts'
import type { BenchOptions } from '../main.ts'
import type { Report } from '../report.ts'

/** The MySQL driver on MariaDB, beside the same queue by hand. */
export async function mysql({ runs, scale }: BenchOptions): Promise<Report> {
  await using server = await MysqlServer.start({
    onDisk: true,
    settings: ['--innodb-buffer-pool-size=512M', '--innodb-log-file-size=1G'],
  })
  let databases = 0
  const { setup, ...measured } = await besideHand({
    count: Math.ceil((60_000 * scale) / BATCH) * BATCH,
    few: Math.ceil((10_000 * scale) / BATCH) * BATCH,
    runs,
    async withDatabase(use) {
      const name = `bench_${++databases}`
      await server.query(`CREATE DATABASE ${name}`)
      try {
        return await use(server.url(name))
      } finally {
        await server.query(`DROP DATABASE ${name}`)
      }
    },
    open: (url) => openMysql({ url, onError: console.error }),
    openByHand: MysqlByHand.open,
  })
  return {
    suite: 'mysql',
    title: 'MariaDB',
    setup: [
      'MariaDB as it comes, but for 512 MB of buffer pool and 1 GB of log',
      'by hand: mysql2, one table with one index, the same batches and loops, history kept; no requests, limits, leases, lists or counts',
      ...setup,
    ],
    ...measured,
  }
}
