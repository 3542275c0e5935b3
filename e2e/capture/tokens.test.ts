import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { startOctoflow } from '../support/octoflow.ts'
import { type Owner, whenDone } from '../support/owner.ts'

interface Issuer {
  readonly url: string
  /** A token with these claims, valid for `seconds`. */
  sign(claims: Readonly<Record<string, unknown>>, seconds?: number): Promise<string>
}

/** An OpenID Connect issuer with one key. */
async function startIssuer(owner: Owner): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' }
  const server = createServer(({ url: path }, response) => {
    const answer = path === '/.well-known/openid-configuration' ? { issuer: url, jwks_uri: `${url}/keys` } : { keys: [jwk] }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  whenDone(owner, () => {
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    sign: (claims, seconds = 60) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setIssuer(url)
        .setSubject('ada')
        .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
        .sign(privateKey),
  }
}

test('A token of the configured issuer is a credential; its roles are taken from its claims.', async (t) => {
  const issuer = await startIssuer(t)
  const { client } = await startOctoflow(t, { env: { AUTHORIZATION_KEY: '', IAM_SERVER_URL: issuer.url } })
  const status = async (key: string): Promise<number> => (await client.post('/request', { json: {}, key })).status
  assert.equal(await status(await issuer.sign({ realm_access: { roles: ['producer'] } })), 200)
  assert.equal(await status(await issuer.sign({ roles: ['viewer', 'operator'] })), 200, 'the greatest role counts')
  assert.equal(await status(await issuer.sign({ realm_access: { roles: ['viewer'] } })), 403)
  assert.equal(await status(await issuer.sign({ realm_access: { roles: ['something else'] } })), 403)
  assert.equal(await status(await issuer.sign({})), 403)
})

test('A token that has run out, was tampered with or was signed by another is none.', async (t) => {
  const issuer = await startIssuer(t)
  const other = await startIssuer(t)
  const { client } = await startOctoflow(t, { env: { AUTHORIZATION_KEY: '', IAM_SERVER_URL: issuer.url } })
  const admin = { roles: ['admin'] }
  const valid = await issuer.sign(admin)
  const [header, , signature] = valid.split('.')
  const forged = Buffer.from(JSON.stringify({ iss: issuer.url, exp: 4e9, roles: ['admin'] })).toString('base64url')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  for (const key of [
    await issuer.sign(admin, -60),
    await other.sign(admin),
    `${header}.${forged}.${signature}`,
    `${none}.${forged}.`,
    `${none}.${forged}.x`,
    'a.b.c',
  ]) {
    const answer = await client.post('/request', { json: {}, key })
    assert.equal(answer.status, 401, key)
    assert.deepEqual(answer.json, { message: 'Invalid or missing authorization' })
  }
  assert.equal((await client.post('/request', { json: {}, key: valid })).status, 200)
})

test('While the issuer cannot be reached, tokens are 503 with Retry-After, and static keys go on working.', async (t) => {
  const issuer = await startIssuer(t)
  const token = await issuer.sign({ roles: ['admin'] })
  const { client } = await startOctoflow(t, { env: { IAM_SERVER_URL: 'http://127.0.0.1:1' } })
  const answer = await client.post('/request', { json: {}, key: token })
  assert.equal(answer.status, 503)
  assert.ok(Number(answer.headers.get('retry-after')) > 0)
  assert.equal((await client.post('/request', { json: {} })).status, 200)
})
