/**
 * Works jobs off over HTTP as fast as it can, in a process of its own: `worker-load.ts URL KEY MODE CONNECTIONS BATCH JOBS`.
 * MODE `native` claims and reports in batches; `capture` speaks the old protocol, with three reports a job. Prints how many
 * seconds it took.
 */
import { Connection } from './connection.ts'

const [url = '', key = '', mode = '', connections = '1', batch = '1', jobs = '1'] = process.argv.slice(2)
const wanted = Number(jobs)
let left = wanted

const open = await Promise.all(Array.from({ length: Number(connections) }, () => Connection.open(url, key)))
const begun = performance.now()
await Promise.all(
  open.map((connection, index) => (mode === 'native' ? workNatively(connection, `load-${index}`) : workAsOfOld(connection))),
)
console.log((performance.now() - begun) / 1000)
for (const connection of open) connection.close()

async function workNatively(connection: Connection, workerId: string): Promise<void> {
  while (left > 0) {
    const limit = Math.min(Number(batch), left)
    left -= limit
    const claimed = await connection.send('POST', '/api/v1/queues/bench/claim', `{"workerId":"${workerId}","limit":${limit}}`)
    const { jobs } = JSON.parse(claimed.body) as { jobs: { id: number; leaseToken: string }[] }
    if (jobs.length < limit) left += limit - jobs.length
    if (jobs.length === 0) return
    const reports = jobs.map(({ id, leaseToken }) => `{"id":${id},"leaseToken":"${leaseToken}","outcome":"completed"}`)
    const reported = await connection.send(
      'POST',
      '/api/v1/jobs/report',
      `{"workerId":"${workerId}","jobs":[${reports.join()}]}`,
    )
    if (reported.status !== 200 || reported.body.includes('"ok":false')) throw new Error(reported.body)
  }
}

async function workAsOfOld(connection: Connection): Promise<void> {
  while (left-- > 0) {
    const taken = await connection.send('GET', '/jobs/next-pending?custom_value=bench')
    if (taken.status === 404) return
    const { job_id: id } = JSON.parse(taken.body) as { job_id: number }
    await expectOk(
      connection.send('POST', `/jobs/${id}/insert-event`, `{"job_id":${id},"message":"Request processed successfully"}`),
    )
    await expectOk(connection.send('PUT', `/jobs/${id}/update-status`, '{"status":"Completed"}'))
    await expectOk(connection.send('PUT', `/jobs/${id}/mark-handled`))
  }
}

async function expectOk(answer: Promise<{ readonly status: number; readonly body: string }>): Promise<void> {
  const { status, body } = await answer
  if (status !== 200) throw new Error(body)
}
