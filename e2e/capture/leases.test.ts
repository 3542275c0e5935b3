import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { until } from '../support/until.ts'
import { capture, jobRow, jobStatus, nativeJob, report, take, takeNext } from './capturing.ts'

const SHORT_LEASES = { config: 'capture:\n  leaseSeconds: 1\n' }

/** The server looks for leases that ran out every second. */
const RESCUED_WITHIN = 5

describe('A job of the capture API', { concurrency: 4 }, () => {
  test('is leased for 15 minutes.', async (t) => {
    const { client } = await startOctoflow(t)
    const id = await capture(client, 'App')
    const before = Date.now()
    await take(client, 'App')
    const until = Date.parse((await nativeJob(client, id)).leaseUntil!)
    assert.ok(until >= before + 900_000 - 5 && until <= Date.now() + 900_000 + 5)
  })

  test('whose worker vanished is pending again when its lease ends, and one who waits for it gets it.', async (t) => {
    const { client } = await startOctoflow(t, SHORT_LEASES)
    const id = await capture(client, 'App')
    await take(client, 'App')
    assert.equal(await takeNext(client, 'App'), null)
    assert.equal((await takeNext(client, 'App', '&wait=10'))?.job_id, id)
    assert.equal((await nativeJob(client, id)).attempt, 2)
  })

  test('comes back up to its attempt limit, then is Error with a finished_date.', async (t) => {
    const { client, database } = await startOctoflow(t, SHORT_LEASES)
    const tables = database()
    const id = await capture(client, 'App')
    for (let attempt = 1; attempt <= 3; attempt++) assert.equal((await takeNext(client, 'App', '&wait=10'))?.job_id, id)
    await until(() => jobStatus(tables, id) === 'Error', { what: 'the attempts are used up' })
    assert.notEqual(jobRow(tables, id)!.finished_date, null)
    assert.equal(await takeNext(client, 'App'), null)
    assert.equal((await nativeJob(client, id)).state, 'dead')
  })

  test('keeps its worker as long as that reports on it, by whatever report.', async (t) => {
    const { client } = await startOctoflow(t, SHORT_LEASES)
    const id = await capture(client, 'App')
    await take(client, 'App')
    const firstLeaseEnds = Date.parse((await nativeJob(client, id)).leaseUntil!)
    const reports = [
      () => report(client, id, 'In Progress'),
      () => report(client, id, 'Still at it'),
      async () => (await client.post(`/jobs/${id}/insert-event`, { json: { job_id: id, message: 'alive' } })).status,
      async () => (await client.post('/events', { json: { job_id: id, message: 'still alive' } })).status,
      async () => (await client.put(`/jobs/${id}`, { json: { status: 'In Progress' } })).status,
      async () => (await client.put(`/jobs/${id}/mark-handled`)).status,
    ]
    let round = 0
    await until(
      async () => {
        const before = (await nativeJob(client, id)).leaseUntil!
        assert.equal(await reports[round++ % reports.length]!(), 200)
        const { state, attempt, leaseUntil } = await nativeJob(client, id)
        assert.deepEqual([state, attempt], ['running', 1])
        assert.ok(leaseUntil! > before, 'the report renewed the lease')
        return Date.now() > firstLeaseEnds + 2_500
      },
      { what: 'the first lease would have ended long ago', everyMs: 100 },
    )
    assert.equal(await report(client, id, 'Completed'), 200)
  })

  test('that is pending again is completed by its first worker’s late report.', async (t) => {
    const { client, database } = await startOctoflow(t, SHORT_LEASES)
    const tables = database()
    const id = await capture(client, 'App')
    await take(client, 'App')
    await until(() => jobStatus(tables, id) === 'Pending', { what: 'the lease has ended', withinSeconds: RESCUED_WITHIN })
    assert.equal(await report(client, id, 'Completed'), 200)
    assert.equal(jobStatus(tables, id), 'Completed')
    assert.equal(await takeNext(client, 'App'), null)
  })

  test('that another has taken over is completed once: the second report of success is a repetition.', async (t) => {
    const { client, database } = await startOctoflow(t, SHORT_LEASES)
    const id = await capture(client, 'App')
    await take(client, 'App')
    assert.equal((await takeNext(client, 'App', '&wait=10'))?.job_id, id)
    assert.deepEqual(await Promise.all([report(client, id, 'Completed'), report(client, id, 'Completed')]), [200, 200])
    assert.equal(await report(client, id, 'Error'), 409)
    assert.equal(jobStatus(database(), id), 'Completed')
  })

  test('that is pending again becomes the caller’s by a late In Progress.', async (t) => {
    const { client, database } = await startOctoflow(t, SHORT_LEASES)
    const tables = database()
    const id = await capture(client, 'App')
    await take(client, 'App')
    await until(() => jobStatus(tables, id) === 'Pending', { what: 'the lease has ended', withinSeconds: RESCUED_WITHIN })
    assert.equal(await report(client, id, 'In Progress'), 200)
    assert.equal(await takeNext(client, 'App'), null)
    assert.equal((await nativeJob(client, id)).state, 'running')
  })

  test('that is pending again shows as Pending, even if its worker had given it a label.', async (t) => {
    const { client, database } = await startOctoflow(t, SHORT_LEASES)
    const tables = database()
    const id = await capture(client, 'App')
    await take(client, 'App')
    await report(client, id, 'Half way')
    await until(async () => (await nativeJob(client, id)).state === 'pending', { what: 'the lease has ended' })
    assert.equal(jobStatus(tables, id), 'Pending')
  })
})
