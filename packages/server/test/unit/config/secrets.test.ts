import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describe } from '../../../src/config/describe.ts'
import { workspace } from './workspace.ts'

const SECRET = 'hunter2'
const yaml = (text: string) => ({ 'data/octoflow.yml': text })

test('an old default or a short key is refused with what to do', async (t) => {
  const { problems } = workspace(t)
  const mend = `Remove it to have a random key made, or set one made with: node -p "crypto.randomBytes(24).toString('hex')"`
  assert.deepEqual(await problems({ env: { AUTHORIZATION_KEY: 'default_key', API_TOKEN: SECRET } }), [
    `AUTHORIZATION_KEY in the environment: security.authorizationKey is the well-known default of an ` +
      `older system; expected your own key. ${mend}`,
    `API_TOKEN in the environment: security.apiToken has 7 characters; expected at least 8. ${mend}`,
  ])
  for (const old of ['default_token', 'AUTH_KEY_HERE']) {
    assert.match((await problems({ env: { API_TOKEN: old } }))[0]!, /is the well-known default of an older system/)
    const [inFile] = await workspace(t, yaml(`security: { apiToken: ${old} }`)).problems()
    assert.match(inFile!, /^octoflow\.yml line 1: security\.apiToken is the well-known default/)
  }
})

test('two names with different keys stop the start without a word on the keys', async (t) => {
  const env = { API_TOKEN: `first-${SECRET}`, OCTOFLOW_SECURITY_API_TOKEN: `second-${SECRET}` }
  const [own, alias] = ['OCTOFLOW_SECURITY_API_TOKEN', 'API_TOKEN']
  assert.deepEqual(await workspace(t).problems({ env }), [
    `${own} in the environment, ${alias} in the environment: ` +
      `${own} and ${alias} give security.apiToken different values. Remove one of them.`,
  ])
})

test('no problem shows a secret', async (t) => {
  const texts = [
    `security: { apiToken: ${SECRET} }`,
    `security: { apiToken: [${SECRET}${SECRET}] }`,
    `security: { apiToken: { value: ${SECRET}${SECRET} } }`,
    `security: ${SECRET}`,
    `security: [${SECRET}]`,
    `security:\n  apiToken: *${SECRET}`,
    `security:\n  apiToken: !${SECRET} x`,
    `security:\n  apiToken: ]${SECRET}`,
    `security:\n  apiToken: "\\${SECRET}"`,
    `security:\n  apiToken: "${SECRET}`,
    `security:\n  apiToken:${SECRET}\n  disabled: false`,
    `security: { apiToken:${SECRET} }`,
    `security: { apiToken ${SECRET}: x }`,
    `security.apiToken=${SECRET}: x`,
    `security.apiToken: first-${SECRET}\nsecurity: { apiToken: second-${SECRET} }`,
    `security: { oidcIssuer: 'https://octo:${SECRET}@iam.example' }`,
    `server: { corsOrigins: ['https://octo:${SECRET}@a.example'] }`,
    `database: { url: 'oracle://octo:${SECRET}@db' }`,
    `database: { url: { password: ${SECRET} } }`,
    `database.url: 'mysql://octo:${SECRET}1@db'\ndatabase: { url: 'mysql://octo:${SECRET}2@db' }`,
  ]
  for (const text of texts) {
    const found = await workspace(t, yaml(text)).problems()
    assert.ok(found.length > 0)
    assert.doesNotMatch(found.join('\n'), /hunter2/, text)
  }
  const envs = [
    { AUTHORIZATION_KEY: SECRET },
    { AUTHORIZATION_KEY: `1-${SECRET}`, OCTOFLOW_SECURITY_AUTHORIZATION_KEY: `2-${SECRET}` },
    { DATABASE_URL: `mysql://o:${SECRET}1@db`, DATABASE_URI: `mysql://o:${SECRET}2@db` },
    { DB_HOST: 'db', DB_PASS: `${SECRET}1`, DB_PASSWORD: `${SECRET}2` },
    { OCTOFLOW_API_TOKEN: SECRET },
    { IAM_SERVER_URL: `https://octo:${SECRET}@iam.example` },
  ]
  for (const env of envs) assert.doesNotMatch((await workspace(t).problems({ env })).join('\n'), /hunter2/, JSON.stringify(env))
  const envFile = await workspace(t, { '.env': `OCTOFLOW_SECURITY_API_TOKEN ${SECRET}==` }).problems()
  assert.deepEqual(envFile, [
    'OCTOFLOW_SECURITY_API_TOKEN… in .env line 1 is not a setting. Did you mean OCTOFLOW_SECURITY_API_TOKEN?',
  ])
})

test('no listing and no notice shows a secret', async (t) => {
  const env = {
    AUTHORIZATION_KEY: `${SECRET}-key`,
    API_TOKEN: `${SECRET}-token`,
    DATABASE_URL: `postgresql://octo:${SECRET}@db/jobs`,
    DB_HOST: 'db',
    DB_PASS: SECRET,
    SECRET_KEY: SECRET,
  }
  const { config, origins, notices } = await workspace(t).load({ env })
  const rows = describe(config, origins)
  assert.doesNotMatch(JSON.stringify([rows, notices]), /hunter2/)
  const shown = new Map(rows.map(({ key, value }) => [key, value]))
  assert.equal(shown.get('security.authorizationKey'), '***')
  assert.equal(shown.get('security.apiToken'), '***')
  assert.equal(shown.get('database.url'), 'postgres://octo:***@db/jobs')
})
