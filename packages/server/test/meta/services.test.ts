import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Service } from '../../src/lib/service.ts'
import { Random } from '../conformance/random.ts'
import { services, withParts } from './services.ts'

const SOURCE = join(import.meta.dirname, '../../src')
const ROUNDS = 10

test('Every service of the server is started and stopped here.', () => {
  const found = globSync('**/*.ts', { cwd: SOURCE })
    .flatMap((file) => [...readFileSync(join(SOURCE, file), 'utf8').matchAll(/class (\w+) extends Service\b/g)])
    .map(([, name]) => name!)
  assert.deepEqual(Object.keys(services).sort(), found.sort())
})

for (const [name, make] of Object.entries(services))
  describe(name, () => {
    /** Has the service used, and sees that afterwards nothing of it is left. */
    const stress = (use: (service: Service) => Promise<void>): Promise<void> =>
      withParts(async (parts) => {
        const service = make(parts)
        await service.start()
        await service.stop()
        const idle = parts.clock.pending
        await use(service)
        await service.stop()
        assert.equal(service.running, false)
        assert.equal(parts.clock.pending, idle, 'timers that are still set')
      })

    test('starts and stops again and again', () =>
      stress(async (service) => {
        for (let round = 0; round < ROUNDS; round++) {
          await service.start()
          assert.equal(service.running, true)
          await service.stop()
          assert.equal(service.running, false)
        }
      }))

    test('may be started twice and stopped twice', () =>
      stress(async (service) => {
        await service.stop()
        await service.start()
        await service.start()
        assert.equal(service.running, true)
        await service.stop()
        await service.stop()
      }))

    test('may be started and stopped at once, and ends as the last call says', () =>
      stress(async (service) => {
        const random = new Random(7)
        for (let round = 0; round < ROUNDS; round++) {
          const calls = Array.from({ length: random.between(2, 6) }, () => random.chance(0.5))
          await Promise.all(calls.map((start) => (start ? service.start() : service.stop())))
          assert.equal(service.running, calls.at(-1))
        }
      }))
  })
