import assert from 'node:assert/strict'
import type { DatabaseSync } from 'node:sqlite'
import type { Client } from '../support/client.ts'

/** What a worker of the capture API gets to see of a job. */
export interface PendingJob {
  readonly job_id: number
  readonly request_id: number
  readonly source_ip: string
  readonly user_agent: string
  readonly method: string
  readonly request_url: string
  readonly request_raw: string
  readonly custom_value: string
}

/** Captures a request with a job. @returns the id of both. */
export async function capture(client: Client, customValue: string, json: unknown = {}): Promise<number> {
  const answer = await client.post(`/request?custom_value=${encodeURIComponent(customValue)}`, { json })
  assert.equal(answer.status, 200, answer.text)
  return (answer.json as { readonly id: number }).id
}

/** Takes the next pending job; `null` if there is none. */
export async function takeNext(client: Client, customValue: string, more = ''): Promise<PendingJob | null> {
  const answer = await client.get(`/jobs/next-pending?custom_value=${encodeURIComponent(customValue)}${more}`)
  if (answer.status === 404) return null
  assert.equal(answer.status, 200, answer.text)
  return answer.json as PendingJob
}

/** Takes a job that must be there. */
export async function take(client: Client, customValue: string): Promise<PendingJob> {
  const job = await takeNext(client, customValue)
  assert.ok(job !== null, `no job is pending for ${customValue}`)
  return job
}

export async function report(client: Client, id: number, status: string): Promise<number> {
  return (await client.put(`/jobs/${id}/update-status`, { json: { status } })).status
}

/** The row of the view `jobs`. */
export interface JobRow {
  readonly id: number
  readonly request_id: number
  readonly created_date: string
  readonly modified_date: string
  readonly finished_date: string | null
  readonly status: string
}

export const jobRow = (database: DatabaseSync, id: number): JobRow | undefined =>
  database.prepare('SELECT * FROM jobs WHERE id = ?').get(id) as JobRow | undefined

export const jobStatus = (database: DatabaseSync, id: number): string | undefined => jobRow(database, id)?.status

/** The job as the native API shows it. */
export interface NativeJob {
  readonly id: number
  readonly state: string
  readonly attempt: number
  readonly leaseUntil: string | null
}

export async function nativeJob(client: Client, id: number): Promise<NativeJob> {
  const answer = await client.get(`/api/v1/jobs/${id}`)
  assert.equal(answer.status, 200, answer.text)
  return answer.json as NativeJob
}
