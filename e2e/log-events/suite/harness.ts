import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { DATABASES, type DatabaseServer } from '../../support/database-server.ts'
import { type Octoflow, startOctoflow } from '../../support/octoflow.ts'
import { temporaryDirectory } from '../../support/owner.ts'
import { skipUnlessCi } from '../../support/requirements.ts'
import type { StartOptions } from '../../support/server-process.ts'

/** What the log events API is tested on. */
export const PRODUCTS = {
  sqlite: { name: 'SQLite', install: null, begin: null, share: 1 },
  postgres: { ...DATABASES.postgres, share: 1 / 5 },
  mariadb: { ...DATABASES.mariadb, share: 1 / 5 },
  mongodb: { ...DATABASES.mongodb, share: 1 / 50 },
} as const
export type Product = (typeof PRODUCTS)[keyof typeof PRODUCTS]

/** What a test is given. */
export interface Site {
  readonly t: TestContext
  /** Starts a server on the test's own database; after a stop again. */
  start(options?: StartOptions): Promise<Octoflow>
  /** Starts two servers that share the test's own database; `null` where one process alone may use it. */
  startTwo(): Promise<readonly [Octoflow, Octoflow] | null>
  /** Of a large number of events as many as the database takes in a few seconds. */
  share(events: number): number
}

export type Declare = (name: string, run: (site: Site) => Promise<void>) => void

/** Tests that are run on every database. */
export type Group = (test: Declare) => void

/** Runs groups on one database server, which all their tests share. */
export function runOn({ name, install, begin, share }: Product, groups: Readonly<Record<string, Group>>): void {
  if (install !== null) {
    test(`Log events on ${name}`, (t) => skipUnlessCi(t, `${name} is not installed: ${install}`))
    return
  }
  describe(`Log events on ${name}:`, () => {
    let database: DatabaseServer | null = null
    before(async () => {
      database = (await begin?.({ synced: false })) ?? null
    })
    after(() => database?.[Symbol.asyncDispose]())

    for (const [title, group] of Object.entries(groups))
      describe(title, () =>
        group((name, run) =>
          test(name, async (t) => {
            const data = join(temporaryDirectory(t), 'data')
            const url = await database?.fresh()
            const flags = url === undefined ? [] : ['--database-url', url]
            const start = (options: StartOptions = {}) =>
              startOctoflow(t, { ...options, data, flags: [...flags, ...(options.flags ?? [])] })
            const startTwo = async () =>
              database === null ? null : ([await start(), await startOctoflow(t, { flags })] as const)
            await run({ t, start, startTwo, share: (events) => Math.round(events * share) })
          }),
        ),
      )
  })
}
