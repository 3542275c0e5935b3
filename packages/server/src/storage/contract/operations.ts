import type { Instant } from '../../lib/time.ts'
import type { Operation, OperationAim } from '../../model/operation.ts'
import type { Page, PageRequest } from './page.ts'
import type { MovedJob } from './storage.ts'

/** Actions on all jobs, or log events, that match a filter. */
export interface OperationStore {
  create(params: OperationAim & { readonly now: Instant; readonly by: string }): Promise<Operation>

  find(params: { readonly ids: readonly number[] }): Promise<readonly Operation[]>

  list(params: { readonly page: PageRequest }): Promise<Page<Operation>>

  /** Those that have work left, oldest first. */
  unfinished(): Promise<readonly Operation[]>

  /**
   * Acts on the next `limit` jobs or log events and stores how far it got, in one transaction. Does nothing to one that is finished.
   * @returns the operation, and the jobs that have another state now (not those that are gone).
   * @param params.note recorded with each job concerned.
   */
  step(params: {
    readonly now: Instant
    readonly id: number
    readonly limit: number
    readonly note: string
  }): Promise<{ readonly operation: Operation; readonly moved: readonly MovedJob[] }>

  /** @throws `operation_not_found`, `operation_finished` */
  abort(params: { readonly now: Instant; readonly id: number }): Promise<Operation>
}
