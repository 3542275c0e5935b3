import type { ClientConfig } from 'pg'
import { OctoflowError } from '../../../errors/octoflow-error.ts'

interface Target {
  readonly client: ClientConfig
  readonly schema: string
  readonly poolSize: number
}

const DEFAULT_POOL_SIZE = 10
const LARGEST_POOL = 100
const DEFAULT_SCHEMA = 'public'

/**
 * Octoflow's own parameters of the URL, `schema` and `pool_size`, are taken out of it; the client knows all others. `sslmode`
 * means what it means to PostgreSQL's own programs, of which the client by itself makes something stricter.
 * @throws `config_invalid`
 */
export function parseUrl(text: string): Target {
  const url = URL.parse(text)
  // Nothing of it is shown: it may hold a password where none is looked for.
  if (url === null) throw misfit('is not a URL of one host: postgres://user:password@host:port/database')
  const { searchParams } = url
  const schema = searchParams.get('schema') ?? DEFAULT_SCHEMA
  if (!/^[^\0]{1,63}$/.test(schema)) throw misfit('names a schema of none or more than 63 characters')
  const size = searchParams.get('pool_size') ?? String(DEFAULT_POOL_SIZE)
  const poolSize = /^\d+$/.test(size) ? Number(size) : 0
  if (poolSize < 1 || poolSize > LARGEST_POOL) throw misfit(`has pool_size=${size}; expected 1 to ${LARGEST_POOL} connections`)
  for (const own of ['schema', 'pool_size']) searchParams.delete(own)
  if (!searchParams.has('uselibpqcompat')) searchParams.set('uselibpqcompat', 'true')
  return { client: { connectionString: url.href }, schema, poolSize }
}

const misfit = (fault: string): OctoflowError => new OctoflowError('config_invalid', { problems: `database.url ${fault}.` })
