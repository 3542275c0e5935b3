import type { Instant } from '../../../lib/time.ts'
import type { LeaderStore, Leadership } from '../../contract/leader.ts'
import type { Writer } from './writer.ts'

export class SqliteLeader implements LeaderStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  acquire({ now, holder, until }: Parameters<LeaderStore['acquire']>[0]): Promise<Leadership> {
    return this.#writer.write(({ db }) => {
      const current = db.row<[string, number, Instant]>('SELECT holder, term, until FROM octoflow_leader')
      if (current !== undefined && current[0] !== holder && current[2] > now) return { leader: false, term: current[1] }
      const sameTerm = current !== undefined && current[0] === holder && current[2] > now
      const term = (current?.[1] ?? 0) + (sameTerm ? 0 : 1)
      db.run('INSERT OR REPLACE INTO octoflow_leader (one, holder, term, until) VALUES (1, ?, ?, ?)', holder, term, until)
      return { leader: true, term }
    })
  }

  resign({ holder }: Parameters<LeaderStore['resign']>[0]): Promise<void> {
    return this.#writer.write(({ db }) => {
      db.run('UPDATE octoflow_leader SET until = 0 WHERE holder = ?', holder)
    })
  }
}
