import assert from 'node:assert/strict'
import { type Instant, SECOND } from '../../src/lib/time.ts'
import type { Job } from '../../src/model/job.ts'
import type { Outcome } from '../../src/model/settle.ts'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { COMPLETED, FIRST_100, LEASE, NOW, newRequest, serversOf, type TestStorage } from './harness.ts'
import type { Step, SubmittedJob } from './random-steps.ts'
import { type ModelJob, ReferenceModel } from './reference-model.ts'

type Of<Name extends Step['do']> = Extract<Step, { readonly do: Name }>

const WORKER = 'worker-1'

/** Does the steps of a walk to the database and to the model, and compares. Each step goes through another server. */
export class Walker {
  readonly #servers: readonly Storage[]
  readonly #model = new ReferenceModel()
  /** All jobs ever submitted, deleted ones too. */
  readonly #ids: number[] = []
  #now: Instant = NOW
  #steps = 0

  private constructor(servers: readonly Storage[]) {
    this.#servers = servers
  }

  static async begin(opened: TestStorage): Promise<Walker> {
    await opened.storage.migrations.migrate({ now: NOW })
    return new Walker(await serversOf(opened, 3))
  }

  async take(step: Step): Promise<void> {
    this.#steps++
    await this.#do(step)
    await this.#compareCounts()
    if (this.#steps % 20 === 0) await this.#compareJobs([...this.#ids])
  }

  /** Runs whatever is left with no limits in the way, so that a job which nobody would ever start comes to light. */
  async end(): Promise<void> {
    for (const queue of this.#model.queues())
      await this.#do({ do: 'configure', queue, change: { paused: false, concurrency: null, keyConcurrency: 1 } })
    this.#now += 3_600 * SECOND
    await this.#do({ do: 'rescue' })
    for (let rounds = 0; this.#unfinished().length > 0; rounds++) {
      assert.ok(rounds < 500, `jobs ${this.#unfinished().map(({ id }) => id)} never start`)
      for (const queue of this.#model.queues()) await this.#do({ do: 'claim', queue, limit: 50, lease: LEASE })
      for (const { id, fence } of this.#unfinished().filter(({ state }) => state === 'running'))
        await this.#reportOne(id, fence, COMPLETED)
    }
    await this.#compareCounts()
    await this.#compareJobs([...this.#ids])
    for (const id of this.#model.jobs.keys()) await this.#compareAttempts(id)
  }

  get #storage(): Storage {
    return this.#servers[this.#steps % this.#servers.length]!
  }

  #do(step: Step): Promise<void> {
    switch (step.do) {
      case 'submit':
        return this.#submit(step.jobs)
      case 'claim':
        return this.#claim(step)
      case 'report':
        return this.#report(step)
      case 'configure':
        return this.#configure(step)
      case 'rescue':
        return this.#rescue()
      case 'pass':
        this.#now += step.time
        return Promise.resolve()
      default:
        return this.#steer(step)
    }
  }

  async #submit(jobs: readonly SubmittedJob[]): Promise<void> {
    const now = this.#now
    const wishes = jobs.map(({ queue, key, unique, priority, delay, maxAttempts }) => {
      const runAt = delay === 0 ? null : now + delay
      return { queue, priority, maxAttempts, runAt, concurrencyKey: key, uniqueKey: unique }
    })
    const submitted = await this.#storage.requests.submit({ now, items: wishes.map(newRequest) })
    for (const [index, wish] of wishes.entries()) {
      const { id, outcome } = submitted[index]!
      const holder = this.#model.holder(wish.queue, wish.uniqueKey)
      assert.equal(outcome, holder === undefined ? 'created' : 'existing')
      if (holder === undefined) {
        assert.ok(id > (this.#ids.at(-1) ?? 0), 'ids rise')
        this.#ids.push(id)
        this.#model.submit({ id, ...wish, runAt: wish.runAt ?? now })
      } else assert.equal(id, holder.id)
    }
  }

  async #claim({ queue, limit, lease }: Of<'claim'>): Promise<void> {
    const now = this.#now
    const { jobs, nextAt } = await this.#storage.leases.claim({ now, queue, worker: WORKER, limit, lease })
    const room = (this.#model.settings(queue).concurrency ?? Number.POSITIVE_INFINITY) - this.#model.counts(queue, now).running
    const expected = this.#model.claim(queue, limit, WORKER, now, now + lease)
    assert.deepEqual(
      jobs.map(({ id }) => id),
      expected,
      'the claim gets the jobs whose turn it is',
    )
    for (const { id, fence, attempt } of jobs) {
      const job = this.#model.jobs.get(id)!
      assert.deepEqual({ fence, attempt }, { fence: job.fence, attempt: job.attempt })
    }
    if (this.#model.settings(queue).paused || !this.#model.queues().includes(queue)) return assert.equal(nextAt, null)
    if (jobs.length < Math.min(limit, room)) assert.equal(nextAt, this.#model.nextDue(queue, now), 'the next time')
    const [stored] = await this.#storage.queues.find({ names: [queue] })
    assert.deepEqual(stored?.counts, this.#model.counts(queue, now), `the counts of queue ${queue} after a claim`)
  }

  async #report({ which, outcome, token }: Of<'report'>): Promise<void> {
    const fenceOf = (id: number): number | null => {
      const fence = this.#model.jobs.get(id)?.fence ?? 1
      return token === 'none' ? null : token === 'stale' ? fence - 1 : fence
    }
    const held = which.flatMap((pick) => this.#pick(pick, 'running')).map((id) => ({ id, fence: fenceOf(id) }))
    const reports = held.map(({ id, fence }) => ({ id, fence, outcome, finishedAt: null, events: [] }))
    const results = await this.#storage.leases.report({ now: this.#now, reports })
    const expected = held.map(({ id, fence }) => this.#model.report(id, fence, outcome, this.#now))
    assert.deepEqual(
      results.map(({ error }) => error?.code ?? null),
      expected,
    )
    for (const { id, error, state } of results) assert.equal(state, error === null ? this.#model.jobs.get(id)!.state : null)
    await this.#compareJobs(held.map(({ id }) => id))
  }

  async #reportOne(id: number, fence: number, outcome: Outcome): Promise<void> {
    const [result] = await this.#storage.leases.report({
      now: this.#now,
      reports: [{ id, fence, outcome, finishedAt: null, events: [] }],
    })
    assert.equal(result?.error?.code ?? null, this.#model.report(id, fence, outcome, this.#now))
  }

  async #configure({ queue, change }: Of<'configure'>): Promise<void> {
    await this.#storage.queues.configure({ now: this.#now, name: queue, change, ifVersion: null })
    this.#model.configure(queue, change)
  }

  async #rescue(): Promise<void> {
    const rescued = await this.#storage.leases.rescue({ now: this.#now, limit: 1_000 })
    assert.equal(rescued.length, this.#model.rescue(this.#now))
  }

  async #steer(step: Of<'renew' | 'cancel' | 'remove' | 'retry' | 'edit'>): Promise<void> {
    for (const id of this.#pick(step.which, step.do === 'retry' ? 'finished' : 'any')) {
      const [verdict, expected] = await this.#steerOne(step, id)
      assert.equal(verdict, expected, `${step.do} of job ${id}`)
      await this.#compareJobs([id])
    }
  }

  /** @returns the error's code that the database gave, and the one that the model gives. */
  async #steerOne(
    step: Of<'renew' | 'cancel' | 'remove' | 'retry' | 'edit'>,
    id: number,
  ): Promise<readonly [string | null, string | null]> {
    const [now, note] = [this.#now, 'by the walk']
    const { jobs, leases, requests } = this.#storage
    switch (step.do) {
      case 'cancel': {
        const [result] = await jobs.cancel({ now, ids: [id], reason: 'not wanted', note })
        return [result!.error?.code ?? null, this.#model.cancel(id, 'not wanted', now)]
      }
      case 'remove': {
        const [result] = await requests.delete({ now, ids: [id] })
        return [result!.error?.code ?? null, this.#model.remove(id)]
      }
      case 'retry': {
        const [result] = await jobs.retry({ now, items: [{ id, payload: null, queue: step.queue }], note })
        return [result!.error?.code ?? null, this.#model.retry(id, step.queue, now)]
      }
      case 'edit': {
        const change = {
          ...(step.priority !== null && { priority: step.priority }),
          ...(step.delay !== null && { runAt: now + step.delay }),
        }
        const result = await jobs.edit({ now, id, change, note })
        return [result.error?.code ?? null, this.#model.edit(id, change)]
      }
      case 'renew': {
        const result = await leases.renew({ now, id, worker: 'old-client', lease: LEASE, start: true })
        return [result.error?.code ?? null, this.#model.renew(id, 'old-client', now, now + LEASE)]
      }
    }
  }

  /** The job that a number stands for, mostly one in a state in which the step does something. */
  #pick(which: number, wanted: 'running' | 'finished' | 'any'): number[] {
    const jobs = [...this.#model.jobs.values()]
    const fitting = jobs.filter(({ state }) =>
      wanted === 'running' ? state === 'running' : state !== 'running' && state !== 'pending',
    )
    const choice = wanted === 'any' || which % 5 === 0 || fitting.length === 0 ? this.#ids : fitting.map(({ id }) => id)
    return choice.length === 0 ? [] : [choice[which % choice.length]!]
  }

  #unfinished(): ModelJob[] {
    return [...this.#model.jobs.values()].filter(({ state }) => state === 'pending' || state === 'running')
  }

  async #compareJobs(ids: readonly number[]): Promise<void> {
    const known = ids.flatMap((id) => this.#model.jobs.get(id) ?? [])
    const stored = await this.#storage.jobs.find({ ids })
    assert.deepEqual(stored.map(asModelled), known)
  }

  /** Between two claims, what is due counts as scheduled still, and a changed limit has not been applied: compare the sum. */
  async #compareCounts(): Promise<void> {
    const stored = (await this.#storage.queues.list({ page: FIRST_100 })).items
    assert.deepEqual(stored.map(({ name }) => name).sort(), this.#model.queues().sort())
    for (const { name, counts } of stored) {
      const { ready, scheduled, held, ...sums } = counts
      const { ready: _ready, scheduled: _scheduled, held: _held, ...expected } = this.#model.counts(name, this.#now)
      assert.deepEqual(sums, expected, `the counts of queue ${name}`)
      assert.equal(ready + scheduled + held, sums.pending)
    }
  }

  async #compareAttempts(id: number): Promise<void> {
    const attempts = await this.#storage.jobs.attempts({ id })
    assert.deepEqual(
      attempts.map(({ fence, outcome }) => [fence, outcome]),
      this.#model.attempts(id).map((outcome, index) => [index + 1, outcome]),
      `the attempts of job ${id}`,
    )
  }
}

/** The part of a job that the model knows. */
function asModelled(job: Job): ModelJob {
  const { createdAt: _c, backoff: _b, timeout: _t, labels: _l, statusLabel: _s, progress: _p, ...modelled } = job
  return modelled
}
