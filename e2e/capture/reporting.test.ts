import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOctoflow } from '../support/octoflow.ts'
import { capture, jobRow, jobStatus, nativeJob, report, take, takeNext } from './capturing.ts'

test('update-status and PUT /jobs/{id} answer as ever.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  await take(client, 'App')
  const inProgress = await client.put(`/jobs/${id}`, { json: { status: 'In Progress' } })
  assert.deepEqual([inProgress.status, inProgress.json], [200, { message: 'Job updated successfully' }])
  const completed = await client.put(`/jobs/${id}/update-status`, { json: { status: 'Completed' } })
  assert.deepEqual([completed.status, completed.json], [200, { message: 'Job status updated successfully' }])
  const handled = await client.put(`/jobs/${id}/mark-handled`)
  assert.deepEqual([handled.status, handled.json], [200, { message: 'Request marked as handled' }])
})

test('A job that does not exist is 404 to every report, and so is a request without a job.', async (t) => {
  const { client } = await startOctoflow(t)
  await client.post('/request', { json: {} })
  for (const id of [1, 7])
    for (const answer of [
      await client.put(`/jobs/${id}`, { json: { status: 'Completed' } }),
      await client.put(`/jobs/${id}`, { json: {} }),
      await client.put(`/jobs/${id}/update-status`, { json: { status: 'Completed' } }),
      await client.put(`/jobs/${id}/update-status`, { json: { status: 'a label' } }),
      await client.put(`/jobs/${id}/mark-handled`),
      await client.post('/events', { json: { job_id: id, message: 'x' } }),
      await client.post(`/jobs/${id}/insert-event`, { json: { job_id: id, message: 'x' } }),
    ]) {
      assert.equal(answer.status, 404)
      assert.deepEqual(answer.json, { message: 'Job not found' })
    }
})

test('The statuses on the wire are Pending, In Progress, Completed, Error and Cancelled.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  const states = { Completed: 'completed', Error: 'dead', Cancelled: 'cancelled' }
  for (const [status, state] of Object.entries(states)) {
    const id = await capture(client, 'App')
    assert.equal(jobStatus(tables, id), 'Pending')
    await take(client, 'App')
    assert.equal(jobStatus(tables, id), 'In Progress')
    assert.equal(await report(client, id, status), 200)
    assert.equal(jobStatus(tables, id), status)
    assert.equal((await nativeJob(client, id)).state, state)
  }
})

test('Completed sets finished_date, and so does Error.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  for (const status of ['Completed', 'Error']) {
    const id = await capture(client, 'App')
    await take(client, 'App')
    assert.equal(jobRow(tables, id)!.finished_date, null)
    const before = Date.now()
    await report(client, id, status)
    const finished = Date.parse(`${jobRow(tables, id)!.finished_date}Z`)
    assert.ok(finished >= before - 1 && finished <= Date.now() + 1, status)
  }
})

test('A finished_date that comes with the status is taken over.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  for (const [given, meant] of [
    ['2024-05-06T07:08:09.123Z', '2024-05-06T07:08:09.123Z'],
    ['2024-05-06T07:08:09.123456', '2024-05-06T07:08:09.123Z'],
    ['2024-05-06 07:08:09', '2024-05-06T07:08:09Z'],
    ['2024-05-06T09:08:09+02:00', '2024-05-06T07:08:09Z'],
  ] as const) {
    const id = await capture(client, 'App')
    await take(client, 'App')
    const answer = await client.put(`/jobs/${id}`, { json: { status: 'Completed', finished_date: given } })
    assert.equal(answer.status, 200, answer.text)
    assert.equal(Date.parse(`${jobRow(tables, id)!.finished_date}Z`), Date.parse(meant), given)
  }
})

test('A finished_date that is none is 400, and the job keeps its state.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const id = await capture(client, 'App')
  await take(client, 'App')
  for (const finishedDate of ['yesterday', '2024-13-01', '', 7, [], {}]) {
    const answer = await client.put(`/jobs/${id}`, { json: { status: 'Completed', finished_date: finishedDate } })
    assert.equal(answer.status, 400, JSON.stringify(finishedDate))
  }
  assert.equal(jobStatus(database(), id), 'In Progress')
})

test('Pending gives a job back: the next caller gets it.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const id = await capture(client, 'App')
  await take(client, 'App')
  assert.equal(await report(client, id, 'Pending'), 200)
  assert.equal(jobStatus(database(), id), 'Pending')
  assert.equal((await take(client, 'App')).job_id, id)
})

test('Any other text up to 64 characters is kept as the status label and changes no state.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  const id = await capture(client, 'App')
  await take(client, 'App')
  for (const label of [
    'Waiting for parts',
    'completed',
    'ERROR',
    'x'.repeat(64),
    '🐙'.repeat(64),
    'constructor',
    '__proto__',
    'toString',
    ' ',
  ]) {
    assert.equal(await report(client, id, label), 200, label)
    assert.equal(jobStatus(tables, id), label)
    assert.equal((await nativeJob(client, id)).state, 'running')
  }
  for (const label of ['', 'x'.repeat(65)]) assert.equal(await report(client, id, label), 400)
})

test('A status that means something takes the place of the label.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  const id = await capture(client, 'App')
  await take(client, 'App')
  for (const status of ['In Progress', 'Pending', 'Completed']) {
    await report(client, id, 'Half way')
    assert.equal(jobStatus(tables, id), 'Half way')
    await report(client, id, status)
    assert.equal(jobStatus(tables, id), status)
  }
})

test('Repeating the same final status is 200 and changes nothing.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  for (const status of ['Completed', 'Error', 'Cancelled']) {
    const id = await capture(client, 'App')
    await take(client, 'App')
    await report(client, id, status)
    const row = jobRow(tables, id)
    assert.equal(await report(client, id, status), 200)
    assert.deepEqual(jobRow(tables, id), row)
  }
})

test('A late report cannot reopen a finished job: it is 409.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  const all = ['Pending', 'In Progress', 'Completed', 'Error', 'Cancelled']
  for (const final of ['Completed', 'Error', 'Cancelled']) {
    const id = await capture(client, 'App')
    await take(client, 'App')
    await report(client, id, final)
    for (const other of all.filter((status) => status !== final))
      for (const path of [`/jobs/${id}/update-status`, `/jobs/${id}`]) {
        const answer = await client.put(path, { json: { status: other } })
        assert.equal(answer.status, 409, `${other} after ${final}`)
        assert.equal(typeof (answer.json as { message: unknown }).message, 'string')
      }
    assert.equal(jobStatus(tables, id), final)
  }
  assert.equal(await takeNext(client, 'App'), null)
})

test('mark-handled sets the request’s is_handled to 1, whatever the state of the job, and any number of times.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  for (const call of [{}, { body: '', type: 'application/json' }, { json: {} }]) {
    const answer = await client.put(`/jobs/${id}/mark-handled`, call)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(((await client.get(`/request/${id}`)).json as { is_handled: unknown }).is_handled, 1)
  }
})

test('mark-handled and events are taken also after the job has ended, as clients send them, and change nothing of it.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const tables = database()
  for (const status of ['Completed', 'Error', 'Cancelled']) {
    const id = await capture(client, 'App')
    await take(client, 'App')
    await report(client, id, status)
    const { state, leaseUntil } = await nativeJob(client, id)
    assert.equal((await client.put(`/jobs/${id}/mark-handled`)).status, 200)
    assert.equal(
      (await client.post(`/jobs/${id}/insert-event`, { json: { job_id: id, message: 'after the end' } })).status,
      200,
    )
    const after = await nativeJob(client, id)
    assert.deepEqual([after.state, after.leaseUntil, jobStatus(tables, id)], [state, leaseUntil, status])
  }
})

test('PUT /jobs/{id} without a status is 200 and leaves the job as it is.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const id = await capture(client, 'App')
  await take(client, 'App')
  for (const json of [{}, { finished_date: null }, { finished_date: '2024-05-06T07:08:09Z' }]) {
    const answer = await client.put(`/jobs/${id}`, { json })
    assert.deepEqual([answer.status, answer.json], [200, { message: 'Job updated successfully' }])
  }
  const { status, finished_date } = jobRow(database(), id)!
  assert.deepEqual([status, finished_date], ['In Progress', null])
})

test('Fields that a route does not know are ignored, for clients send more than is asked of them.', async (t) => {
  const { client } = await startOctoflow(t)
  const id = await capture(client, 'App')
  await take(client, 'App')
  const more = { modified_date: '2024-05-06T07:08:09Z', worker: { name: 'w' }, id: 99 }
  for (const answer of [
    await client.put(`/request/${id}`, { json: { is_handled: 1, ...more } }),
    await client.post('/events', { json: { job_id: id, message: 'x', ...more } }),
    await client.put(`/jobs/${id}`, { json: { status: 'In Progress', ...more } }),
    await client.put(`/jobs/${id}/update-status`, { json: { status: 'Completed', ...more } }),
  ])
    assert.equal(answer.status, 200, answer.text)
})

test('insert-event records for the job of its path, whatever its body names.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const [id, other] = [await capture(client, 'App'), await capture(client, 'App')]
  for (const json of [{ job_id: id, message: 'same' }, { message: 'none' }, { job_id: other, message: 'another' }])
    assert.equal((await client.post(`/jobs/${id}/insert-event`, { json })).status, 200)
  const rows = database().prepare('SELECT job_id FROM events').all()
  assert.deepEqual(
    rows.map((row) => row.job_id),
    [id, id, id],
  )
})

test('A job’s events are kept in order under rising ids, by either route.', async (t) => {
  const { client, database } = await startOctoflow(t)
  const id = await capture(client, 'App')
  const ids: number[] = []
  for (const [n, path] of ['/events', `/jobs/${id}/insert-event`, '/events'].entries()) {
    const answer = await client.post(path, { json: { job_id: id, message: `Nr. ${n} 🐙\u0000` } })
    assert.equal(answer.status, 200)
    assert.deepEqual(Object.keys(answer.json as object), ['event_id'])
    ids.push((answer.json as { event_id: number }).event_id)
  }
  assert.deepEqual(
    ids.toSorted((a, b) => a - b),
    ids,
  )
  const rows = database().prepare('SELECT id, job_id, message FROM events ORDER BY id').all()
  assert.deepEqual(
    rows.map((row) => ({ ...row })),
    ids.map((event, n) => ({ id: event, job_id: id, message: `Nr. ${n} 🐙\u0000` })),
  )
})
