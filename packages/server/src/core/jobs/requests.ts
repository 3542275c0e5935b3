import { OctoflowError } from '../../errors/octoflow-error.ts'
import { inScope, type Principal, type QueueScope } from '../../model/access.ts'
import type { CapturedRequest } from '../../model/request.ts'
import type { Page, PageRequest } from '../../storage/contract/page.ts'
import type { RequestFilter } from '../../storage/contract/requests.ts'
import type { Ports } from '../ports.ts'
import { withinScope } from './scope.ts'

/** Looking at what came in, marking it and deleting it. Everything is limited to the caller's queues. */
export class Requests {
  readonly #ports: Ports

  constructor(ports: Ports) {
    this.#ports = ports
  }

  async find(id: number, scope: QueueScope): Promise<CapturedRequest> {
    const [request] = await this.#ports.storage.requests.find({ ids: [id] })
    if (request === undefined || !inScope(scope, request.queue)) throw new OctoflowError('request_not_found', { id })
    return request
  }

  list(filter: RequestFilter, page: PageRequest, scope: QueueScope): Promise<Page<CapturedRequest>> {
    return this.#ports.storage.requests.list({ filter: withinScope(filter, scope), page })
  }

  async setHandled(id: number, handled: boolean, by: Principal): Promise<void> {
    await this.find(id, by.queues)
    const [result] = await this.#ports.storage.requests.setHandled({ ids: [id], handled })
    if (result!.error !== null) throw result!.error
  }

  async delete(id: number, by: Principal): Promise<void> {
    await this.find(id, by.queues)
    const [result] = await this.#ports.storage.requests.delete({ now: this.#ports.clock.now(), ids: [id] })
    if (result!.error !== null) throw result!.error
  }
}
