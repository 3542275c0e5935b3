import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { exportJWK, generateKeyPair } from 'jose'
import Provider, { type Adapter, type AsymmetricSigningAlgorithm, type JWK } from 'oidc-provider'
import { isOctoflowError } from '../../../src/errors/octoflow-error.ts'
import { OidcVerifier } from '../../../src/oauth/oidc-verifier.ts'
import { RecordingLogger } from '../core/core.ts'

const AUDIENCE = 'urn:octoflow'
const SECRET = 'secret-of-the-client'

interface IssuerOptions {
  readonly algorithm?: AsymmetricSigningAlgorithm
  /** What the issuer says of every token's bearer beside the usual. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Below which it lies on its host, as Keycloak's realms do. */
  readonly path?: string
}

/** A certified implementation of an OpenID Connect issuer, which gives its clients access tokens as RFC 9068 has them. */
class Issuer {
  readonly url: string
  readonly #server: Server

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  static async start({ algorithm = 'RS256', claims = {}, path = '' }: IssuerOptions = {}): Promise<Issuer> {
    const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
    const jwk = { ...(await exportJWK(privateKey)), kid: `key-${algorithm}`, alg: algorithm, use: 'sig' } as JWK
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const answer = providerAt(`${host}${path}`, jwk, algorithm, claims).callback()
    server.on('request', (request, response) => {
      // As Express has it, the provider finds out by the difference where it is mounted.
      Object.assign(request, { originalUrl: request.url, url: request.url!.slice(path.length) })
      void answer(request, response)
    })
    return new Issuer(server, `${host}${path}`)
  }

  /** A token by the client credentials grant. */
  async token(audience = AUDIENCE): Promise<string> {
    const form = new URLSearchParams({ grant_type: 'client_credentials', resource: audience })
    const authorization = `Basic ${btoa(`billing:${SECRET}`)}`
    const answer = await fetch(`${this.url}/token`, { method: 'POST', body: form, headers: { authorization } })
    const text = await answer.text()
    assert.equal(answer.status, 200, text)
    return (JSON.parse(text) as { access_token: string }).access_token
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

/** Tokens that hold all that is to be known of them need not be kept. */
class NothingKept implements Adapter {
  async upsert(): Promise<undefined> {}
  async find(): Promise<undefined> {}
  async findByUserCode(): Promise<undefined> {}
  async findByUid(): Promise<undefined> {}
  async consume(): Promise<undefined> {}
  async destroy(): Promise<undefined> {}
  async revokeByGrantId(): Promise<undefined> {}
}

function providerAt(
  url: string,
  jwk: JWK,
  algorithm: AsymmetricSigningAlgorithm,
  claims: Readonly<Record<string, unknown>>,
): Provider {
  return new Provider(url, {
    jwks: { keys: [jwk] },
    clients: [
      {
        client_id: 'billing',
        client_secret: SECRET,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: algorithm,
      },
    ],
    cookies: { keys: [SECRET] },
    adapter: NothingKept,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: '',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 60,
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
    extraTokenClaims: () => claims,
    ttl: { ClientCredentials: 60 },
  })
}

const verifierFor = (issuer: string, audience: string | null = null, rolesClaim: string | null = null): OidcVerifier =>
  new OidcVerifier({ issuer, audience, rolesClaim, logger: new RecordingLogger() })

for (const algorithm of ['RS256', 'PS256', 'ES256', 'EdDSA'] as const)
  test(`A token that a real issuer signed with ${algorithm} is its bearer’s credential.`, async () => {
    await using issuer = await Issuer.start({ algorithm, claims: { roles: ['viewer', 'octoflow-operator'] } })
    const principal = await verifierFor(issuer.url, AUDIENCE).verify(await issuer.token())
    assert.deepEqual(principal, { name: 'oidc billing', role: 'operator', queues: null })
  })

test('An issuer below a path is found, with a slash at its end or without.', async () => {
  await using issuer = await Issuer.start({ path: '/realms/main', claims: { realm_access: { roles: ['producer'] } } })
  const token = await issuer.token()
  for (const url of [issuer.url, `${issuer.url}/`]) assert.equal((await verifierFor(url).verify(token))?.role, 'producer', url)
})

test('A token made for another audience is refused, where one is configured.', async () => {
  await using issuer = await Issuer.start({ claims: { roles: ['admin'] } })
  const other = await issuer.token('urn:another-program')
  assert.equal(await verifierFor(issuer.url, AUDIENCE).verify(other), null)
  assert.equal((await verifierFor(issuer.url).verify(other))?.role, 'admin')
})

test('A token of another issuer is refused, though both sign with a key of the same name.', async () => {
  await using issuer = await Issuer.start({ claims: { roles: ['admin'] } })
  await using other = await Issuer.start({ claims: { roles: ['admin'] } })
  const verifier = verifierFor(issuer.url)
  assert.equal(await verifier.verify(await other.token()), null)
  assert.notEqual(await verifier.verify(await issuer.token()), null)
})

test('Roles are read from where issuers put them, or from the claim that is configured alone.', async () => {
  for (const [claims, rolesClaim, role] of [
    [{ resource_access: { octoflow: { roles: ['worker'] } } }, null, 'worker'],
    [{ groups: ['staff', 'octoflow:admin'] }, null, 'admin'],
    [{ roles: 'viewer PRODUCER' }, null, 'producer'],
    [{ 'x-roles': { octoflow: ['operator'] }, roles: ['admin'] }, 'x-roles.octoflow', 'operator'],
  ] as const) {
    await using issuer = await Issuer.start({ claims })
    assert.equal((await verifierFor(issuer.url, null, rolesClaim).verify(await issuer.token()))?.role, role)
  }
})

test('A valid token without a role is told from an invalid one.', async () => {
  await using issuer = await Issuer.start({ claims: { roles: ['accountant'] } })
  await assert.rejects(verifierFor(issuer.url).verify(await issuer.token()), (error) => isOctoflowError(error, 'role_missing'))
})

test('An issuer that could not be reached is asked again at the next token.', async () => {
  const issuer = await Issuer.start({ claims: { roles: ['admin'] } })
  const token = await issuer.token()
  const port = Number(new URL(issuer.url).port)
  await issuer[Symbol.asyncDispose]()
  const verifier = verifierFor(issuer.url)
  await assert.rejects(verifier.verify(token), (error) => isOctoflowError(error, 'issuer_unreachable'))
  // The same address, with nothing of OpenID Connect behind it.
  const server = createServer((_request, response) => response.writeHead(404).end())
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await assert.rejects(verifier.verify(token), (error) => isOctoflowError(error, 'issuer_unreachable'))
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

for (const [what, answer] of [
  ['an error', { status: 500, body: 'oops' }],
  ['no JSON', { status: 200, body: '<html>' }],
  ['JSON that is no key set', { status: 200, body: '{"keys":7}' }],
] as const)
  test(`Where an issuer publishes ${what} in the place of its keys, its tokens cannot be checked, which says nothing of them.`, async () => {
    await using issuer = await Issuer.start({ claims: { roles: ['admin'] } })
    const token = await issuer.token()
    const server = createServer(({ url: path }, response) => {
      if (path === '/keys') response.writeHead(answer.status).end(answer.body)
      else response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `http://127.0.0.1:${portOf(server)}/keys` }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const verifier = verifierFor(`http://127.0.0.1:${portOf(server)}`)
    await assert.rejects(verifier.verify(token), (error) => isOctoflowError(error, 'issuer_unreachable'))
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

const portOf = (server: Server): number => (server.address() as AddressInfo).port
