import type { RequestDocument } from './documents.ts'

/** The order in which jobs are to start. */
export const byPriority = (a: RequestDocument, b: RequestDocument): number => a.priority! - b.priority! || a._id - b._id
