import type { LeaderStore, Leadership } from '../../contract/leader.ts'
import type { Writer } from './writer.ts'

export class PostgresLeader implements LeaderStore {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  acquire({ now, holder, until }: Parameters<LeaderStore['acquire']>[0]): Promise<Leadership> {
    return this.#writer.write(
      async (transaction) => {
        const [taken] = await transaction.rows<[number]>(ACQUIRE, holder, now, until)
        if (taken !== undefined) return { leader: true, term: taken[0] }
        const [other] = await transaction.rows<[number]>('SELECT term FROM octoflow_leader')
        return { leader: false, term: other![0] }
      },
      { repeatable: true },
    )
  }

  resign({ holder }: Parameters<LeaderStore['resign']>[0]): Promise<void> {
    return this.#writer.write((transaction) => transaction.send(RESIGN, holder), { repeatable: true })
  }
}

const ACQUIRE = `INSERT INTO octoflow_leader AS l (holder, term, until) VALUES ($1, 1, $3::bigint)
  ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until,
    term = l.term + CASE WHEN l.holder = excluded.holder AND l.until > $2::bigint THEN 0 ELSE 1 END
    WHERE l.holder = excluded.holder OR l.until <= $2::bigint
  RETURNING term`

const RESIGN = 'UPDATE octoflow_leader SET until = 0 WHERE holder = $1'
