import type { Instant } from '../../../lib/time.ts'
import type { LeaderStore, Leadership } from '../../contract/leader.ts'
import type { Writer } from './writer.ts'

export class MysqlLeader implements LeaderStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  acquire({ now, holder, until }: Parameters<LeaderStore['acquire']>[0]): Promise<Leadership> {
    return this.#writer.write(
      async (transaction) => {
        const [current] = await transaction.rows<[string, number, Instant]>(LOCK)
        const [leader, term, lasts] = current!
        if (leader !== holder && lasts > now) return { leader: false, term }
        const next = leader === holder && lasts > now ? term : term + 1
        transaction.send(TAKE, holder, next, until)
        return { leader: true, term: next }
      },
      { repeatable: true },
    )
  }

  resign({ holder }: Parameters<LeaderStore['resign']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(RESIGN, holder), { repeatable: true })
  }
}

const LOCK = 'SELECT holder, term, until FROM octoflow_leader FOR UPDATE'

const TAKE = 'UPDATE octoflow_leader SET holder = ?, term = ?, until = ?'

const RESIGN = 'UPDATE octoflow_leader SET until = 0 WHERE holder = ?'
