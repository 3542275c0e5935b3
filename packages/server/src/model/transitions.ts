import type { JobState } from './job.ts'

/**
 * The state machine of a job, as data: the drivers' guards, `docs/reference/job-states.md` and its diagram are all made
 * from this table.
 */
export interface Transition {
  readonly from: JobState
  readonly to: JobState
  readonly when: string
}

export const transitions = {
  claim: [{ from: 'pending', to: 'running', when: 'a worker takes the job and gets a lease on it' }],
  complete: [
    { from: 'running', to: 'completed', when: 'its worker reports success' },
    { from: 'pending', to: 'completed', when: 'a client without a lease reports success late, after its lease ran out' },
  ],
  retry: [
    { from: 'running', to: 'pending', when: 'its worker reports a failure and attempts are left; it waits out the backoff' },
  ],
  snooze: [{ from: 'running', to: 'pending', when: 'its worker asks for a later time; the attempt does not count' }],
  release: [
    {
      from: 'running',
      to: 'pending',
      when: 'its worker gives it back unworked, for instance when stopping; the attempt does not count',
    },
  ],
  rescue: [{ from: 'running', to: 'pending', when: 'the lease ran out and attempts are left' }],
  bury: [
    { from: 'running', to: 'dead', when: 'a failure or an expired lease used up the last attempt, or its worker discarded it' },
    { from: 'pending', to: 'dead', when: 'a client without a lease reports an error late, after its lease ran out' },
  ],
  cancel: [
    { from: 'pending', to: 'cancelled', when: 'it is cancelled before it starts' },
    { from: 'running', to: 'cancelled', when: 'its worker obeyed the cancel command, failed under it, or lost its lease' },
  ],
  rerun: [
    { from: 'completed', to: 'pending', when: 'it is run again by hand' },
    { from: 'cancelled', to: 'pending', when: 'it is run again by hand' },
    { from: 'dead', to: 'pending', when: 'the dead letter is replayed' },
  ],
} as const satisfies Record<string, readonly Transition[]>

export type Trigger = keyof typeof transitions

/** The state a trigger leads to, or `null` where it is not allowed. */
export function next(trigger: Trigger, from: JobState): JobState | null {
  return transitions[trigger].find((transition) => transition.from === from)?.to ?? null
}

/** Graphviz and Mermaid both read the arrows of a state diagram; this is Mermaid's form. */
export function toMermaid(): string {
  const arrows = Object.entries(transitions).flatMap(([trigger, rows]) =>
    rows.map(({ from, to }) => `  ${from} --> ${to}: ${trigger}`),
  )
  return ['stateDiagram-v2', '  [*] --> pending: submit', ...arrows].join('\n')
}
