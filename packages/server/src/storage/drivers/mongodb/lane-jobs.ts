import { Stage } from '../../sql/stages.ts'
import { laneId, type RequestDocument } from './documents.ts'
import type { Lane } from './lanes.ts'
import { byPriority } from './selections.ts'
import type { Selection } from './table.ts'
import type { Transaction } from './transaction.ts'

/** The jobs that a lane is balanced with, in the order in which they are to start. */
export interface LaneJobs {
  readonly ready: RequestDocument[]
  /** The first ones, as many as could take a place. */
  readonly held: RequestDocument[]
}

export const NO_JOBS: LaneJobs = { ready: [], held: [] }

/** Of so many lanes each is read by itself, and some jobs ahead are kept for the next time. */
const FEW_LANES = 10

/** Of more lanes, those with no more held jobs than this are read together, in full. */
const FEW_JOBS = 20

const KEYS_AT_ONCE = 1_000

type WaitingStage = typeof Stage.ready | typeof Stage.held

/** Reads the jobs of many lanes with few queries. */
export async function jobsOf(transaction: Transaction, lanes: readonly Lane[]): Promise<Map<Lane, LaneJobs>> {
  const jobs = new Map<Lane, LaneJobs>(lanes.map((lane) => [lane, { ready: [], held: [] }]))
  if (lanes.length <= FEW_LANES) {
    for (const lane of lanes) jobs.set(lane, await readOne(transaction, lane))
    return jobs
  }
  for (let at = 0; at < lanes.length; at += KEYS_AT_ONCE) {
    const some = lanes.slice(at, at + KEYS_AT_ONCE)
    for (const own of Map.groupBy(some, ({ queue }) => queue).values()) {
      for (const [lane, ready] of await readTogether(transaction, own, Stage.ready)) jobs.get(lane)!.ready.push(...ready)
      const few = own.filter(({ held }) => held <= FEW_JOBS)
      for (const [lane, held] of await readTogether(transaction, few, Stage.held)) jobs.get(lane)!.held.push(...held)
      for (const lane of own) if (lane.held > FEW_JOBS) jobs.get(lane)!.held.push(...(await readHeld(transaction, lane)))
    }
  }
  return jobs
}

async function readOne(transaction: Transaction, lane: Lane): Promise<LaneJobs> {
  const ready = lane.ready === 0 ? [] : await readFirst(transaction, lane, Stage.ready, lane.ready)
  return { ready: [...ready], held: [...(await readHeld(transaction, lane))] }
}

async function readHeld(transaction: Transaction, lane: Lane): Promise<readonly RequestDocument[]> {
  if (lane.held === 0) return []
  return readFirst(transaction, lane, Stage.held, Math.min(lane.held, lane.ready + lane.queue.settings.keyConcurrency + 1))
}

async function readTogether(
  { tables }: Transaction,
  lanes: readonly Lane[],
  stage: WaitingStage,
): Promise<Map<Lane, readonly RequestDocument[]>> {
  const wanted = lanes.filter((lane) => (stage === Stage.ready ? lane.ready : lane.held) > 0)
  const queue = lanes[0]?.queue.name
  if (wanted.length === 0 || queue === undefined) return new Map()
  const byName = new Map(wanted.map((lane) => [nameOf(stage, lane.id), lane]))
  const found = await tables.requests.all(
    new Map(wanted.map((lane) => [nameOf(stage, lane.id), selectionOf(stage, lane)])),
    (names) => {
      const keys = names.map((name) => byName.get(name)!.key)
      return { queue, concurrencyKey: keys.length === 1 ? keys[0] : { $in: keys }, stage }
    },
    ({ concurrencyKey }) => nameOf(stage, laneId(queue, concurrencyKey!)),
  )
  return new Map([...found].map(([name, jobs]) => [byName.get(name)!, jobs]))
}

function readFirst(
  { tables }: Transaction,
  lane: Lane,
  stage: WaitingStage,
  limit: number,
): Promise<readonly RequestDocument[]> {
  return tables.requests.first(nameOf(stage, lane.id), { ...selectionOf(stage, lane), limit })
}

const nameOf = (stage: WaitingStage, id: string): string => `${stage}:${id}`

const selectionOf = (stage: WaitingStage, { queue, key }: Lane): Selection<RequestDocument> => ({
  filter: { queue: queue.name, concurrencyKey: key, stage },
  matches: (job) => job.queue === queue.name && job.concurrencyKey === key && job.stage === stage,
  sort: { priority: 1, _id: 1 },
  compare: byPriority,
})
