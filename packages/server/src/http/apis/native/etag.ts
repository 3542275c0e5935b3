import { hash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Sends JSON text with an `ETag`, or 304 to a client that has it already. */
export function sendWithEtag(request: FastifyRequest, reply: FastifyReply, text: string, version = ''): FastifyReply {
  const etag = `"${version}${version === '' ? '' : '-'}${hash('sha1', text, 'base64url').slice(0, 16)}"`
  reply.header('etag', etag).header('cache-control', 'private, no-cache')
  const known = request.headers['if-none-match']
  if (known !== undefined && (known === '*' || known.split(',').some((tag) => bare(tag) === bare(etag))))
    return reply.code(304).send()
  return reply.type('application/json; charset=utf-8').send(text)
}

const bare = (tag: string): string => tag.trim().replace(/^W\//, '')

/** The version that `If-Match` names; `null` without the header or with `*`. One that is no version of ours matches nothing. */
export function versionOf({ headers }: FastifyRequest): number | null {
  const given = headers['if-match']
  if (given === undefined || given === '*') return null
  const version = /^"(\d+)-/.exec(bare(given))?.[1]
  return version === undefined ? -1 : Number(version)
}
