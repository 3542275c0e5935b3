import { Problem } from '@octoflow/protocol'

/** The error answers of every route, for its documentation. */
export const problems = {
  '4xx': { description: 'The call cannot be served as it is.', content: { 'application/problem+json': { schema: Problem } } },
  '5xx': { description: 'The server cannot serve it now.', content: { 'application/problem+json': { schema: Problem } } },
} as const
