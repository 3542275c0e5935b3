import type { Instant } from '../../lib/time.ts'

/** The version of the schema. Migrations are numbered from 1, only ever added, and never go back. */
export interface MigrationStore {
  /**
   * Brings the schema up to date. Any number of processes may do this at once.
   * @returns the versions that this call applied.
   * @throws `schema_newer` when the database knows a later version than this program.
   */
  migrate(params: { readonly now: Instant }): Promise<readonly number[]>

  status(): Promise<{ readonly version: number; readonly latest: number }>
}
