import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../support/owner.ts'
import { RawConnection, requestHead } from '../support/raw-connection.ts'
import { skipUnlessCi } from '../support/requirements.ts'
import { failToStart, KEY, ServerProcess } from '../support/server-process.ts'

/** Makes a certificate for the loopback address; `null` where the machine lacks what makes it. */
function makeCertificate(directory: string): { readonly certificate: string; readonly key: string } | null {
  const certificate = join(directory, 'certificate.pem')
  const key = join(directory, 'key.pem')
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  try {
    execFileSync('openssl', ['req', '-x509', ...curve, '-days', '2', ...name, '-keyout', key, '-out', certificate], {
      stdio: 'pipe',
    })
    return { certificate, key }
  } catch {
    return null
  }
}

function post(url: string, ca: Buffer, body: string): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
    const call = request(url, { method: 'POST', ca, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode!, text }))
    })
    call.on('error', reject).end(body)
  })
}

test('With a certificate and a key the server speaks HTTPS, and plain HTTP no more.', async (t) => {
  const made = makeCertificate(temporaryDirectory(t))
  if (made === null) return skipUnlessCi(t, 'openssl is missing, which makes a certificate: apt-get install openssl')
  const server = new ServerProcess(t, { env: { CERTIFICATE_APP: made.certificate, KEY_APP: made.key } })
  await server.listening()
  assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/)
  const answer = await post(`${server.url}/request?custom_value=App`, readFileSync(made.certificate), '{}')
  assert.deepEqual([answer.status, answer.text], [200, '{"message":"Request processed successfully","id":1,"job_id":1}'])

  const plain = new RawConnection(t, server.url)
  await plain.send(requestHead('GET', '/healthz'))
  assert.equal(await plain.answer(), null)
})

test('A certificate without a key, or one that is none, stops the start with a message that names the setting.', async (t) => {
  const directory = temporaryDirectory(t)
  const made = makeCertificate(directory)
  if (made === null) return skipUnlessCi(t, 'openssl is missing, which makes a certificate: apt-get install openssl')
  const other = makeCertificate(temporaryDirectory(t))!
  const noise = join(directory, 'noise.pem')
  writeFileSync(noise, 'no certificate')
  for (const env of [
    { CERTIFICATE_APP: made.certificate },
    { KEY_APP: made.key },
    { CERTIFICATE_APP: join(directory, 'missing.pem'), KEY_APP: made.key },
    { CERTIFICATE_APP: noise, KEY_APP: made.key },
    { CERTIFICATE_APP: made.certificate, KEY_APP: noise },
    { CERTIFICATE_APP: made.certificate, KEY_APP: other.key },
  ]) {
    const { code, stderr } = await failToStart(t, { env })
    assert.equal(code, 7, `${JSON.stringify(env)}: ${stderr}`)
    assert.match(stderr, /CERTIFICATE_APP|KEY_APP|server\.(?:certificate|key)/)
    assert.doesNotMatch(stderr, /^\s+at /m, 'no stack trace')
  }
})
