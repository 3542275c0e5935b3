import type { JWTPayload, JWTVerifyGetKey } from 'jose'
import type { TokenVerifier } from '../core/access/authenticator.ts'
import type { Logger } from '../core/ports.ts'
import { OctoflowError } from '../errors/octoflow-error.ts'
import { greatestRole, isRole, type Principal, type Role } from '../model/access.ts'

export interface OidcOptions {
  readonly issuer: string
  /** The audience a token must be made for; `null` for any. */
  readonly audience: string | null
  /** The claim that holds the roles, as a path with dots; `null` for the usual places. */
  readonly rolesClaim: string | null
  readonly logger: Logger
}

/** Signatures that take a private key. An issuer's public key must never serve as the secret of a symmetric one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** Errors of jose that concern the published keys and not the token. */
const ISSUERS_FAULTS = ['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']

const CLOCK_TOLERANCE_S = 5
const DISCOVERY_TIMEOUT_MS = 5_000

/**
 * Checks JSON Web Tokens of an OpenID Connect issuer against the keys it publishes, which are fetched when first needed
 * and again when an unknown one turns up.
 * https://openid.net/specs/openid-connect-discovery-1_0.html, https://www.rfc-editor.org/rfc/rfc7519
 */
export class OidcVerifier implements TokenVerifier {
  readonly #options: OidcOptions
  #keys: Promise<JWTVerifyGetKey> | null = null

  constructor(options: OidcOptions) {
    this.#options = options
  }

  /**
   * @returns `null` for a token that is not valid.
   * @throws `role_missing`, `issuer_unreachable`
   */
  async verify(token: string): Promise<Principal | null> {
    const claims = await this.#claims(token)
    if (claims === null) return null
    const role = greatestRole(rolesIn(claims, this.#options.rolesClaim))
    if (role === null) throw new OctoflowError('role_missing')
    return { name: `oidc ${claims.preferred_username ?? claims.sub ?? 'unknown'}`, role, queues: null }
  }

  async #claims(token: string): Promise<JWTPayload | null> {
    const { jwtVerify, errors } = await import('jose')
    const { issuer, audience } = this.#options
    try {
      const { payload } = await jwtVerify(token, await this.#publishedKeys(), {
        issuer: [issuer, withoutSlash(issuer), `${withoutSlash(issuer)}/`],
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_S,
        requiredClaims: ['exp'],
        ...(audience !== null && { audience }),
      })
      return payload
    } catch (error) {
      if (error instanceof OctoflowError) throw error
      // jose has no class of its own for a key set that is not answered with 200, or not with JSON.
      const ofIssuer = error instanceof errors.JOSEError && ISSUERS_FAULTS.includes(error.code)
      if (ofIssuer || !(error instanceof errors.JOSEError)) throw this.#unreachable(error)
      this.#options.logger.debug({ reason: (error as Error).message }, 'a token was refused')
      return null
    }
  }

  #publishedKeys(): Promise<JWTVerifyGetKey> {
    this.#keys ??= this.#discover().catch((error) => {
      this.#keys = null
      throw this.#unreachable(error)
    })
    return this.#keys
  }

  async #discover(): Promise<JWTVerifyGetKey> {
    const { createRemoteJWKSet } = await import('jose')
    const url = `${withoutSlash(this.#options.issuer)}/.well-known/openid-configuration`
    const answer = await fetch(url, { signal: AbortSignal.timeout(DISCOVERY_TIMEOUT_MS) })
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
    const { jwks_uri: keysUrl } = (await answer.json()) as { jwks_uri?: unknown }
    if (typeof keysUrl !== 'string') throw new Error(`${url} names no jwks_uri`)
    return createRemoteJWKSet(new URL(keysUrl), { timeoutDuration: DISCOVERY_TIMEOUT_MS })
  }

  #unreachable(cause: unknown): OctoflowError {
    if (cause instanceof OctoflowError) return cause
    this.#options.logger.warn({ err: cause, issuer: this.#options.issuer }, 'the issuer of tokens cannot be reached')
    return new OctoflowError('issuer_unreachable', {}, { cause })
  }
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, '')

/** Names under which issuers keep Octoflow's roles apart from other programs': `octoflow-admin`, `octoflow:admin`. */
const PREFIX = /^octoflow[-_:./]/

function rolesIn(claims: JWTPayload, rolesClaim: string | null): Role[] {
  const names = rolesClaim === null ? usualPlaces(claims) : texts(at(claims, rolesClaim.split('.')))
  return names.map((name) => name.toLowerCase().replace(PREFIX, '')).filter(isRole)
}

/** Keycloak's realm and client roles, and what others use. */
function usualPlaces(claims: JWTPayload): string[] {
  const clients = Object.values((claims.resource_access as Record<string, unknown> | undefined) ?? {})
  return [
    ...texts(at(claims, ['realm_access', 'roles'])),
    ...clients.flatMap((client) => texts(at(client, ['roles']))),
    ...texts(claims.roles),
    ...texts(claims.groups),
  ]
}

const at = (value: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (inner, name) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined),
    value,
  )

/** A list of texts, or one text with spaces between the names. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return value.split(' ')
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
