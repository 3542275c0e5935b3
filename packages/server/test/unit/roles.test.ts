import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { compose } from '../../src/compose.ts'
import { compile } from '../../src/config/compile.ts'
import { settle } from '../../src/config/settle.ts'

const EXAMPLES = fileURLToPath(new URL('../../../../examples', import.meta.url))

for (const roles of ['api,worker,maintenance', 'api', 'worker', 'maintenance', 'api,maintenance'])
  test(`A server of the roles ${roles} does these parts and no others.`, async () => {
    const given = {
      'database.url': 'sqlite::memory:',
      'server.port': 0,
      'server.roles': roles,
      'paths.app': EXAMPLES,
      'handlers.directory': 'quickstart/workers',
    } as const
    const layer = Object.entries(given).map(([key, raw]) => ({ key: key as keyof typeof given, name: key, source: '', raw }))
    const config = compile(settle([layer]).values, EXAMPLES)
    const log: string[] = []
    const logger = pino({ level: 'debug' }, { write: (line) => log.push(line) })
    const server = await compose(config, { logger, version: '0', keys: [] })
    await server.start()
    const leader = log.some((line) => line.includes('became leader'))
    const does = { api: server.http.url !== null, worker: server.handlers.files.length > 0, maintenance: leader }
    await server.stop()
    const named = roles.split(',')
    assert.deepEqual(does, {
      api: named.includes('api'),
      worker: named.includes('worker'),
      maintenance: named.includes('maintenance'),
    })
  })
