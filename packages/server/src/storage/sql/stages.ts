import type { Instant } from '../../lib/time.ts'
import { JobState } from '../../model/job.ts'

/** The columns `stage`. The first three are the model's `pending`, told apart by what the job waits for. */
export const Stage = { ready: 0, scheduled: 1, held: 2, running: 3, completed: 4, cancelled: 5, dead: 6 } as const
export type Stage = (typeof Stage)[keyof typeof Stage]

const STATES: readonly JobState[] = [
  JobState.pending,
  JobState.pending,
  JobState.pending,
  JobState.running,
  JobState.completed,
  JobState.cancelled,
  JobState.dead,
]

export const stateOf = (stage: Stage): JobState => STATES[stage]!

export const stagesOf = (state: JobState): readonly Stage[] => Object.values(Stage).filter((stage) => stateOf(stage) === state)

/** What a pending job waits for first. A keyed job is held until its lane is balanced. */
export function pendingStage(runAt: Instant, key: string | null, now: Instant): Stage {
  if (runAt > now) return Stage.scheduled
  return key === null ? Stage.ready : Stage.held
}
