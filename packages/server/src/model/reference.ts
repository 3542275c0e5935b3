import { type Transition, toMermaid, transitions } from './transitions.ts'

/** docs/reference/job-states.md */
export function jobStatesReference(): string {
  const rows = Object.entries(transitions).flatMap(([trigger, list]: [string, readonly Transition[]]) =>
    list.map(({ from, to, when }) => `| ${trigger} | ${from} | ${to} | ${when} |`),
  )
  return [
    '# Job states',
    '',
    'Generated from `packages/server/src/model/transitions.ts` by `npm run docs`.',
    '',
    'A pending job is *ready* (a worker may take it), *scheduled* (until its `runAt`) or *held* (until its concurrency key has room).',
    'A failed attempt is not a state: with attempts left the job is pending again, without it is dead.',
    '',
    '```mermaid',
    toMermaid(),
    '```',
    '',
    '| trigger | from | to | when |',
    '|---|---|---|---|',
    ...rows,
    '',
    'The capture API calls these states `Pending`, `In Progress`, `Completed`, `Error` (dead) and `Cancelled`.',
    '',
  ].join('\n')
}
