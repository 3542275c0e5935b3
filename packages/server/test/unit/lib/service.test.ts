import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Service } from '../../../src/lib/service.ts'
import { Random } from '../../conformance/random.ts'

type Step = () => Promise<void> | void

const nothing: Step = () => {}

/** Notes what is done to it, and whether two things are ever done at once. */
class Probe extends Service {
  readonly log: string[] = []
  starting: Step = nothing
  stopping: Step = nothing
  acquired = 0
  #busy = false

  protected override onStart(): Promise<void> {
    return this.#alone('start', async () => {
      this.acquired++
      await this.starting()
    })
  }

  protected override onStop(): Promise<void> {
    return this.#alone('stop', async () => {
      this.acquired = 0
      await this.stopping()
    })
  }

  async #alone(name: string, step: Step): Promise<void> {
    assert.equal(this.#busy, false, 'one thing at a time')
    this.#busy = true
    this.log.push(name)
    try {
      await step()
    } finally {
      this.#busy = false
    }
  }
}

describe('Service', () => {
  test('is started and stopped, and started again', async () => {
    const service = new Probe()
    assert.equal(service.running, false)
    await service.start()
    assert.equal(service.running, true)
    await service.stop()
    assert.equal(service.running, false)
    await service.start()
    assert.equal(service.running, true)
    assert.deepEqual(service.log, ['start', 'stop', 'start'])
  })

  test('does nothing where it is asked for the state it is in', async () => {
    const service = new Probe()
    await service.stop()
    await service.start()
    await service.start()
    await service.stop()
    await service.stop()
    assert.deepEqual(service.log, ['start', 'stop'])
  })

  test('works concurrent calls off one after the other', async () => {
    const service = new Probe()
    const gate = Promise.withResolvers<void>()
    service.starting = () => gate.promise
    const calls = [service.start(), service.start(), service.stop(), service.start(), service.stop(), service.stop()]
    gate.resolve()
    await Promise.all(calls)
    assert.deepEqual(service.log, ['start', 'stop', 'start', 'stop'])
    assert.equal(service.running, false)
  })

  test('a stop that comes during a start waits for it', async () => {
    const service = new Probe()
    const gate = Promise.withResolvers<void>()
    service.starting = () => gate.promise
    const started = service.start()
    const stopped = service.stop()
    let isStopped = false
    void stopped.then(() => {
      isStopped = true
    })
    await new Promise(setImmediate)
    assert.equal(isStopped, false)
    gate.resolve()
    await started
    await stopped
    assert.equal(service.acquired, 0)
  })

  test('is not running while it stops, so that its loops can end', async () => {
    const service = new Probe()
    let seen: boolean | null = null
    service.stopping = () => {
      seen = service.running
    }
    await service.start()
    await service.stop()
    assert.equal(seen, false)
  })

  test('a failed start gives back what it acquired, and may be repeated', async () => {
    const service = new Probe()
    service.starting = () => {
      throw new Error('port taken')
    }
    await assert.rejects(service.start(), { message: 'port taken' })
    assert.equal(service.running, false)
    assert.equal(service.acquired, 0)
    service.starting = nothing
    await service.start()
    assert.equal(service.running, true)
    assert.deepEqual(service.log, ['start', 'stop', 'start'])
  })

  test('a failed start is told of by its own error though cleaning up fails too', async () => {
    const service = new Probe()
    service.starting = () => Promise.reject(new Error('port taken'))
    service.stopping = () => Promise.reject(new Error('was never open'))
    await assert.rejects(service.start(), { message: 'port taken' })
    assert.equal(service.running, false)
  })

  test('of concurrent starts only those fail whose attempt failed', async () => {
    const service = new Probe()
    let attempts = 0
    service.starting = () => {
      attempts++
      if (attempts === 1) throw new Error('first')
    }
    const results = await Promise.allSettled([service.start(), service.start(), service.start()])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled', 'fulfilled'],
    )
    assert.equal(attempts, 2)
  })

  test('a failed stop leaves it stopped, and it can be started again', async () => {
    const service = new Probe()
    await service.start()
    service.stopping = () => Promise.reject(new Error('disk gone'))
    await assert.rejects(service.stop(), { message: 'disk gone' })
    assert.equal(service.running, false)
    await service.stop()
    await service.start()
    assert.equal(service.running, true)
  })

  test('what goes wrong in one call is no unhandled rejection of another', async () => {
    const service = new Probe()
    service.starting = () => Promise.reject(new Error('no'))
    const failed = service.start()
    const stopped = service.stop()
    await assert.rejects(failed)
    await stopped
  })

  test('is always as the last of many random calls left it', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed)
      const service = new Probe()
      service.starting = async () => {
        if (random.chance(0.5)) await new Promise(setImmediate)
        if (random.chance(0.2)) throw new Error('no')
      }
      service.stopping = async () => {
        if (random.chance(0.5)) await new Promise(setImmediate)
      }
      let last: { readonly wanted: boolean; readonly done: PromiseSettledResult<void> } | null = null
      const calls: Promise<unknown>[] = []
      for (let call = 0; call < 30; call++) {
        const wanted = random.chance(0.5)
        const promise = wanted ? service.start() : service.stop()
        const isLast = call === 29
        calls.push(
          Promise.allSettled([promise]).then(([done]) => {
            if (isLast) last = { wanted, done }
          }),
        )
        if (random.chance(0.3)) await new Promise(setImmediate)
      }
      await Promise.all(calls)
      const { wanted, done } = last!
      assert.equal(service.running, wanted && done.status === 'fulfilled', `seed ${seed}`)
      assert.equal(service.acquired, service.running ? 1 : 0)
    }
  })
})
