import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Database } from '../../src/storage/drivers/postgres/database.ts'
import { Signals } from '../../src/storage/drivers/postgres/signals.ts'
import { parseUrl } from '../../src/storage/drivers/postgres/url.ts'
import { Writer } from '../../src/storage/drivers/postgres/writer.ts'
import { openSchema, SKIPPED, shareServer } from './postgres-storage.ts'

shareServer()

async function withWriter(body: (writer: Writer) => Promise<void>): Promise<void> {
  await using opened = await openSchema()
  const { client, schema } = parseUrl(opened.url)
  const db = new Database({ client, schema, statementTimeoutMs: 5_000, lockTimeoutMs: 5_000 }, 2)
  const signals = new Signals(db, () => {})
  try {
    await body(new Writer(db, signals))
  } finally {
    await db.close()
    await signals.close()
  }
}

test('A statement that fails on the way is what the transaction fails with, whatever was asked after it.', {
  skip: SKIPPED,
}, async () => {
  await withWriter(async (writer) => {
    const work = writer.transact(async (transaction) => {
      transaction.send('SELECT 1 / 0')
      await transaction.rows('SELECT 1')
    })
    await assert.rejects(work, /division by zero/)
  })
})

test('A statement that fails is what the transaction fails with, though another that was asked at once is heard of first.', {
  skip: SKIPPED,
}, async () => {
  await withWriter(async (writer) => {
    const work = writer.transact(async (transaction) => {
      const first = transaction.rows('SELECT 1 / 0')
      const second = transaction.rows('SELECT 1')
      await second.finally(() => first.catch(() => {}))
    })
    await assert.rejects(work, /division by zero/)
  })
})

test('A transaction that met another one’s is run again, though the conflict befell a statement on the way.', {
  skip: SKIPPED,
}, async () => {
  await withWriter(async (writer) => {
    let runs = 0
    const CONFLICT = "DO $$ BEGIN RAISE EXCEPTION 'met' USING ERRCODE = 'deadlock_detected'; END $$"
    const answer = await writer.transact(async (transaction) => {
      if (++runs === 1) transaction.send(CONFLICT)
      return (await transaction.rows<[number]>('SELECT 7'))[0]![0]
    })
    assert.deepEqual([answer, runs], [7, 2])
  })
})
