import type { CapturedRequest } from '../../model/request.ts'
import type { NewRequest } from '../contract/requests.ts'

/** How a request came in: the columns `meta`, as JSON. What is as in `DEFAULTS` is left out, to keep rows short. */
export type Meta = Pick<CapturedRequest, 'source' | 'sourceIp' | 'userAgent' | 'method' | 'url' | 'headers' | 'contentType'>

/** A job submitted by the native API. The views in `migrations/` know these too. */
const DEFAULTS: Meta = Object.freeze({
  source: 'api',
  sourceIp: null,
  userAgent: null,
  method: 'POST',
  url: '/api/v1/jobs',
  headers: Object.freeze({}),
  contentType: 'application/json',
})

const FIELDS = Object.keys(DEFAULTS) as (keyof Meta)[]

/** @returns `null` where everything is as in `DEFAULTS`. */
export function formatMeta(request: Meta | NewRequest): string | null {
  let differs: Record<string, unknown> | null = null
  for (const field of FIELDS) {
    const value = request[field]
    if (value === DEFAULTS[field] || (field === 'headers' && isEmpty(request.headers))) continue
    differs ??= {}
    differs[field] = value
  }
  return differs === null ? null : JSON.stringify(differs)
}

const isEmpty = (headers: Meta['headers'] | null): boolean => headers === null || Object.keys(headers).length === 0

export const parseMeta = (text: string | null): Meta => (text === null ? DEFAULTS : { ...DEFAULTS, ...JSON.parse(text) })
