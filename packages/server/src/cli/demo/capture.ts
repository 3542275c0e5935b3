import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { text as readText } from 'node:stream/consumers'
import { refused, unreachable } from '../client/api-errors.ts'
import type { ServerAddress } from '../client/find-server.ts'
import { CommandError } from '../command-error.ts'
import { ExitCode } from '../exit-code.ts'
import type { Webhook } from './webhooks.ts'

const IN_FLIGHT = 32

export interface Captured {
  /** Of the request and of its job. */
  readonly id: number
  readonly event: string
}

/**
 * Sends the webhooks to the capture API, as GitHub would. Over `node:http`: in a process just started it sends twice as many
 * a second as `fetch` (measured: 774 and 363), and the figure shown is to be the server's.
 * @returns them in the order of the webhooks, in which they need not have arrived.
 */
export async function captureAll(
  address: ServerAddress,
  webhooks: readonly Webhook[],
  queue: string,
  signal: AbortSignal,
): Promise<readonly Captured[]> {
  const url = new URL(`${address.url}/request?custom_value=${encodeURIComponent(queue)}`)
  const post = poster(url, signal)
  const captured: Captured[] = []
  const waiting = webhooks.entries()
  const sender = async (): Promise<void> => {
    for (const [index, webhook] of waiting)
      captured[index] = { id: await capture(address, webhook, post), event: webhook.event }
  }
  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, sender))
  } finally {
    post.agent.destroy()
  }
  return captured
}

interface Poster {
  (headers: Readonly<Record<string, string>>, body: string): Promise<{ readonly status: number; readonly text: string }>
  readonly agent: HttpAgent
}

function poster(url: URL, signal: AbortSignal): Poster {
  const secure = url.protocol === 'https:'
  const options = { keepAlive: true, maxSockets: IN_FLIGHT }
  const agent = secure ? new HttpsAgent(options) : new HttpAgent(options)
  const request = secure ? httpsRequest : httpRequest
  const post = (headers: Readonly<Record<string, string>>, body: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const call = request(url, {
        method: 'POST',
        agent,
        signal,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      })
      call.on('response', (answer) => {
        readText(answer).then((text) => resolve({ status: answer.statusCode ?? 0, text }), reject)
      })
      call.on('error', reject)
      call.end(body)
    })
  return Object.assign(post, { agent })
}

/** @returns the id of the request and of its job. */
async function capture(address: ServerAddress, { event, headers, body }: Webhook, post: Poster): Promise<number> {
  const { key } = address
  const answer = await post({ ...headers, ...(key !== null && { authorization: `Bearer ${key}` }) }, body).catch((error) => {
    throw error.name === 'AbortError' ? error : unreachable(address, error)
  })
  if (answer.status === 200) return (JSON.parse(answer.text) as { readonly job_id: number }).job_id
  if (answer.status === 401) throw refused(address, 401, JSON.stringify({ code: 'unauthorized', detail: '' }))
  throw new CommandError(
    ExitCode.failed,
    `The server did not take a webhook (${event}): status ${answer.status}, ${answer.text.slice(0, 200)}`,
    'Look at the server’s log. The largest webhook has 28 kB; `server.bodyLimit` must not be smaller.',
  )
}
