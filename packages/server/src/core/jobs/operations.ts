import { OctoflowError } from '../../errors/octoflow-error.ts'
import { inScope, type Principal, type QueueScope } from '../../model/access.ts'
import type { JobFilter } from '../../model/job-filter.ts'
import type { LogEventFilter } from '../../model/log-event.ts'
import type { JobAction, Operation, OperationAim } from '../../model/operation.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import type { Ports } from '../ports.ts'
import { withinScope } from './scope.ts'

/** Actions on all jobs, or log events, that match a filter. Maintenance carries them out. */
export class Operations {
  readonly #ports: Ports
  readonly #listeners = new Set<() => void>()

  constructor(ports: Ports) {
    this.#ports = ports
  }

  /**
   * On all queues of the caller where the filter names none.
   * @throws `queue_out_of_scope`
   */
  async start(action: JobAction, filter: JobFilter, by: Principal): Promise<Operation> {
    const other = filter.queues?.find((queue) => !inScope(by.queues, queue))
    if (other !== undefined) throw new OctoflowError('queue_out_of_scope', { queue: other })
    return this.#create({ action, filter: withinScope(filter, by.queues) }, by)
  }

  /** Log events have happened when they come in, so that the operation need not look beyond now. */
  startDeletingLogEvents(filter: LogEventFilter, by: Principal): Promise<Operation> {
    const until = Math.min(filter.until ?? Number.POSITIVE_INFINITY, this.#ports.clock.now() + 1)
    return this.#create({ action: 'delete_log_events', filter: { ...filter, until } }, by)
  }

  /** @throws `operation_not_found` */
  async find(id: number, scope: QueueScope): Promise<Operation> {
    const [operation] = await this.#ports.storage.operations.find({ ids: [id] })
    if (operation === undefined || !isVisible(operation, scope)) throw new OctoflowError('operation_not_found', { id })
    return operation
  }

  async list(page: PageRequest, scope: QueueScope): Promise<Page<Operation>> {
    const { items, next } = await this.#ports.storage.operations.list({ page })
    return { items: items.filter((operation) => isVisible(operation, scope)), next }
  }

  async abort(id: number, by: Principal): Promise<Operation> {
    await this.find(id, by.queues)
    this.#ports.logger.info({ operation: id, by: by.name }, 'operation aborted')
    return this.#ports.storage.operations.abort({ now: this.#ports.clock.now(), id })
  }

  /** Tells that there is an operation to carry out. @returns ends the subscription. */
  onStarted(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #create(aim: OperationAim, by: Principal): Promise<Operation> {
    const operation = await this.#ports.storage.operations.create({ ...aim, now: this.#ports.clock.now(), by: by.name })
    this.#ports.logger.info({ operation: operation.id, ...aim, by: by.name }, 'operation started')
    for (const listener of this.#listeners) listener()
    return operation
  }
}

/** An operation is shown to those whose scope covers all the queues it acts on. */
const isVisible = (operation: Operation, scope: QueueScope): boolean =>
  scope === null ||
  (operation.action !== 'delete_log_events' && operation.filter.queues?.every((queue) => scope.includes(queue)) === true)
