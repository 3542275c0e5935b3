import type { IncomingHttpHeaders } from 'node:http'

/** What webhooks are verified and told apart by, and what ties a call to others. Never a credential. */
const WORTH_KEEPING =
  /^(?:content-type|content-language|idempotency-key|x-request-id|x-correlation-id|traceparent|webhook-.+|ce-.+|.*signature.*|.*hmac.*|.*-event|.*-event-.+|.*-delivery|.*-delivery-id|.*-topic|.*-hook-.+|.*-webhook-id)$/

const NEVER = /^(?:authorization|cookie|proxy-authorization|x-api-key)$/

const FORWARDED = /^(?:forwarded|x-forwarded-.+|x-real-ip)$/

/** Header names are few and come again with every request. */
const decisions = new Map<string, boolean>()
const DECISIONS_AT_MOST = 1_000

function isKept(name: string, trustProxy: boolean): boolean {
  let kept = decisions.get(name)
  if (kept === undefined) {
    kept = WORTH_KEEPING.test(name) && !NEVER.test(name)
    if (decisions.size < DECISIONS_AT_MOST) decisions.set(name, kept)
  }
  return kept || (trustProxy && FORWARDED.test(name))
}

/** The headers of a captured request that are recorded with it. */
export function keptHeaders(headers: IncomingHttpHeaders, trustProxy: boolean): Readonly<Record<string, string>> | null {
  let kept: Record<string, string> | null = null
  for (const name in headers) {
    // The content type has a place of its own.
    if (name === 'content-type' || !isKept(name, trustProxy)) continue
    const value = headers[name]
    kept ??= {}
    kept[name] = Array.isArray(value) ? value.join(', ') : (value ?? '')
  }
  return kept
}
