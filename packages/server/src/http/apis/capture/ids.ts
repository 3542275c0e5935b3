import { OctoflowError } from '../../../errors/octoflow-error.ts'

const ID = /^0*[1-9]\d{0,15}$/

/** A path id; one that cannot be an id names nothing. */
function parseId(text: string): number | null {
  const id = ID.test(text) ? Number(text) : 0
  return id > 0 && Number.isSafeInteger(id) ? id : null
}

/** @throws `request_not_found` */
export function requestId(text: string): number {
  const id = parseId(text)
  if (id === null) throw new OctoflowError('request_not_found', { id: text })
  return id
}

/** @throws `job_not_found` */
export function jobId(text: string): number {
  const id = parseId(text)
  if (id === null) throw new OctoflowError('job_not_found', { id: text })
  return id
}
