import assert from 'node:assert/strict'
import type { Storage } from '../../src/storage/contract/storage.ts'
import { COMPLETED, event, FIRST_100, type Group, LEASE, logEvent, NOW, newRequest, QUEUE, range } from './harness.ts'

const NOTE = { now: NOW, note: 'note' }

/** A call of every verb of the contract. */
const CALLS = {
  migrations: {
    migrate: ({ migrations }) => migrations.migrate({ now: NOW }),
    status: ({ migrations }) => migrations.status(),
  },
  requests: {
    submit: ({ requests }) => requests.submit({ now: NOW, items: [newRequest()] }),
    find: ({ requests }) => requests.find({ ids: [1] }),
    list: ({ requests }) => requests.list({ filter: {}, page: FIRST_100 }),
    setHandled: ({ requests }) => requests.setHandled({ ids: [1], handled: true }),
    delete: ({ requests }) => requests.delete({ now: NOW, ids: [1] }),
  },
  jobs: {
    find: ({ jobs }) => jobs.find({ ids: [1] }),
    list: ({ jobs }) => jobs.list({ filter: { queues: [QUEUE] }, page: FIRST_100 }),
    attempts: ({ jobs }) => jobs.attempts({ id: 1 }),
    payload: ({ jobs }) => jobs.payload({ id: 1 }),
    waiting: ({ jobs }) => jobs.waiting({ now: NOW, id: 1 }),
    cancel: ({ jobs }) => jobs.cancel({ ...NOTE, ids: [1], reason: '' }),
    retry: ({ jobs }) => jobs.retry({ ...NOTE, items: [{ id: 1, payload: null, queue: null }] }),
    edit: ({ jobs }) => jobs.edit({ ...NOTE, id: 1, change: { priority: 1 } }),
    label: ({ jobs }) => jobs.label({ id: 1, label: 'x' }),
  },
  leases: {
    claim: ({ leases }) => leases.claim({ now: NOW, queue: QUEUE, worker: 'w', limit: 1, lease: LEASE }),
    heartbeat: ({ leases }) => leases.heartbeat({ now: NOW, beats: [{ id: 1, fence: 1, lease: LEASE, progress: null }] }),
    report: ({ leases }) =>
      leases.report({ now: NOW, reports: [{ id: 1, fence: 1, outcome: COMPLETED, finishedAt: null, events: [] }] }),
    rescue: ({ leases }) => leases.rescue({ now: NOW, limit: 1 }),
    renew: ({ leases }) => leases.renew({ now: NOW, id: 1, worker: 'w', lease: LEASE, start: true }),
    shift: ({ leases }) => leases.shift({ by: 1 }),
  },
  events: {
    append: ({ events }) => events.append({ now: NOW, items: [{ jobId: 1, event: event('x') }] }),
    list: ({ events }) => events.list({ jobId: 1, page: FIRST_100 }),
  },
  results: { find: ({ results }) => results.find({ jobIds: [1] }) },
  queues: {
    list: ({ queues }) => queues.list({ page: FIRST_100 }),
    find: ({ queues }) => queues.find({ names: [QUEUE] }),
    configure: ({ queues }) => queues.configure({ now: NOW, name: QUEUE, change: {}, ifVersion: null }),
  },
  workers: {
    seen: ({ workers }) => workers.seen({ workers: [{ id: 'w', at: NOW, queues: [], agent: null }] }),
    list: ({ workers }) => workers.list({ since: 0 }),
    setDraining: ({ workers }) => workers.setDraining({ id: 'w', draining: true }),
  },
  operations: {
    create: ({ operations }) => operations.create({ now: NOW, action: 'cancel', filter: {}, by: 'x' }),
    find: ({ operations }) => operations.find({ ids: [1] }),
    list: ({ operations }) => operations.list({ page: FIRST_100 }),
    unfinished: ({ operations }) => operations.unfinished(),
    step: ({ operations }) => operations.step({ ...NOTE, id: 1, limit: 1 }),
    abort: ({ operations }) => operations.abort({ now: NOW, id: 1 }),
  },
  stats: {
    series: ({ stats }) => stats.series({ queues: null, from: 0, to: NOW, step: 60_000_000 }),
    totals: ({ stats }) => stats.totals({ queues: null, from: 0, to: NOW }),
  },
  access: {
    create: ({ access }) => {
      const key = {
        id: 'k',
        name: '',
        role: 'viewer',
        queues: null,
        createdAt: NOW,
        createdBy: '',
        expiresAt: null,
        lastUsedAt: null,
      } as const
      return access.create({ key, hash: 'a' })
    },
    list: ({ access }) => access.list({ page: FIRST_100 }),
    findByHash: ({ access }) => access.findByHash({ hash: 'a' }),
    rotate: ({ access }) => access.rotate({ id: 'k', hash: 'b' }),
    delete: ({ access }) => access.delete({ now: NOW, id: 'k' }),
    touch: ({ access }) => access.touch({ uses: [{ id: 'k', at: NOW }] }),
  },
  idempotency: {
    begin: ({ idempotency }) => idempotency.begin({ now: NOW, key: 'k', fingerprint: '', reservedUntil: NOW }),
    finish: ({ idempotency }) => idempotency.finish({ key: 'k', status: 200, body: '', expiresAt: NOW }),
    abandon: ({ idempotency }) => idempotency.abandon({ key: 'k' }),
  },
  leader: {
    acquire: ({ leader }) => leader.acquire({ now: NOW, holder: 'a', until: NOW }),
    resign: ({ leader }) => leader.resign({ holder: 'a' }),
  },
  logEvents: {
    append: ({ logEvents }) => logEvents.append({ events: [logEvent()] }),
    find: ({ logEvents }) => logEvents.find({ ids: ['a'] }),
    list: ({ logEvents }) => logEvents.list({ filter: {}, order: 'asc', after: 0, limit: 1 }),
    count: ({ logEvents }) => logEvents.count({ filter: {} }),
    types: ({ logEvents }) => logEvents.types(),
    follow: ({ logEvents }) => logEvents.follow({ after: null, limit: 1 }),
    end: ({ logEvents }) => logEvents.end(),
    mark: ({ logEvents }) => logEvents.mark({ follower: 'f' }),
    advance: ({ logEvents }) => logEvents.advance({ follower: 'f', from: null, to: '0' }),
    prune: ({ logEvents }) => logEvents.prune({ now: NOW, type: 'user', before: NOW, limit: 1 }),
  },
  transfer: {
    count: ({ transfer }) => transfer.count(),
    read: ({ transfer }) => transfer.read({ kind: 'queue', after: null, limit: 1 }),
    unfinished: ({ transfer }) => transfer.unfinished(),
    begin: ({ transfer }) => transfer.begin({ source: 'a' }),
    write: ({ transfer }) => transfer.write({ now: NOW, kind: 'queue', page: { records: [], next: null } }),
    finish: ({ transfer }) => transfer.finish(),
  },
  upkeep: {
    prune: ({ upkeep }) => upkeep.prune({ now: NOW, retention: null, limit: 1 }),
    check: ({ upkeep }) => upkeep.check(),
    time: ({ upkeep }) => upkeep.time(),
    size: ({ upkeep }) => upkeep.size(),
  },
} as const satisfies {
  readonly [Role in Exclude<keyof Storage, 'capabilities' | 'onReady' | 'onLogEvents' | 'close'>]: {
    readonly [Verb in keyof Storage[Role]]: (storage: Storage) => Promise<unknown>
  }
}

const calls = Object.entries(CALLS).flatMap(([role, verbs]) =>
  Object.entries(verbs as Record<string, (storage: Storage) => Promise<unknown>>).map(([verb, call]) => ({
    name: `${role}.${verb}`,
    call,
  })),
)

export const closing: Group = (test) => {
  test('every verb is refused once the database is closed', async ({ storage, submit }) => {
    await submit()
    await storage.close()
    for (const { name, call } of calls) await assert.rejects(call(storage), { code: 'storage_closed' }, name)
  })

  test('closing twice, or twice at once, is closing once', async ({ storage }) => {
    await Promise.all([storage.close(), storage.close()])
    await storage.close()
  })

  test('verbs under way finish before the database closes', async ({ storage, opened }) => {
    const writes = range(1, 50).map(() => storage.requests.submit({ now: NOW, items: [newRequest()] }))
    const closed = storage.close()
    const ids = (await Promise.all(writes)).flat().map(({ id }) => id)
    await closed
    assert.equal(ids.length, 50)
    if (opened.reopen === undefined) return
    assert.equal((await (await opened.reopen()).jobs.find({ ids })).length, 50)
  })

  test('what is asked for while the database closes is served or refused, never left unanswered', async ({ storage }) => {
    const closed = storage.close()
    const settled = await Promise.allSettled(calls.map(({ call }) => call(storage)))
    await closed
    for (const [index, result] of settled.entries())
      if (result.status === 'rejected')
        assert.match(result.reason.code, /^(?:storage_closed|\w+_not_found)$/, calls[index]!.name)
  })

  test('subscriptions may end after the database is closed', async ({ storage }) => {
    const unsubscribe = storage.onReady(() => {})
    await storage.close()
    unsubscribe()
  })
}
