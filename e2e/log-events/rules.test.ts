import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerProcess } from '../support/server-process.ts'

test('A rule that makes no sense stops the start, with its line.', async (t) => {
  for (const [config, words] of [
    ['on_event: 7', /octoflow.yml line 1: logEvents.rules does not fit: expected a list/],
    ['on_event:\n  - queue: q', /rule 1 needs a name/],
    ['on_event:\n  - {name: a, queue: q, mach: {}}', /rule 1 has "mach", which means nothing\. Did you mean "?match/],
    ['on_event:\n  - {name: a, queue: q, match: {user: x}}', /rule 1 has "user"/],
    ['on_event:\n  - {name: a, queue: q}\n  - {name: a, queue: q}', /two rules have the name "a"/],
    ['on_event:\n  - {name: a, queue: q, concurrencyKey: id}', /concurrencyKey that is none of/],
  ] as const) {
    const server = new ServerProcess(t, { config })
    server.mayLogErrors = true
    const { code, stderr, stdout } = await server.ended
    assert.equal(code, 7)
    assert.match(stderr + stdout, words)
  }
})
