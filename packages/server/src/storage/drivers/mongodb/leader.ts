import type { LeaderStore, Leadership } from '../../contract/leader.ts'
import type { Writer } from './writer.ts'

const LEADER = 'leader'

export class MongoLeader implements LeaderStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  acquire({ now, holder, until }: Parameters<LeaderStore['acquire']>[0]): Promise<Leadership> {
    return this.#writer.write(async ({ tables: { leader } }) => {
      const current = await leader.get(LEADER)
      const isHeld = current !== null && current.until > now
      if (isHeld && current.holder !== holder) return { leader: false, term: current.term }
      const term = (current?.term ?? 0) + (isHeld ? 0 : 1)
      leader.put({ _id: LEADER, holder, term, until })
      return { leader: true, term }
    })
  }

  resign({ holder }: Parameters<LeaderStore['resign']>[0]): Promise<void> {
    return this.#writer.write(async ({ tables: { leader } }) => {
      if ((await leader.get(LEADER))?.holder === holder) leader.update(LEADER, { until: 0 })
    })
  }
}
