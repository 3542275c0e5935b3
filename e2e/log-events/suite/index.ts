import { access } from './access.ts'
import { deleting } from './deleting.ts'
import { exporting } from './exporting.ts'
import { following } from './following.ts'
import { type Product, runOn } from './harness.ts'
import { reading } from './reading.ts'
import { startingJobs } from './starting-jobs.ts'
import { storing } from './storing.ts'

/**
 * The rules of the log events API, held against servers on one kind of database. What no database has a part in (files, the command
 * line, what a slow reader costs the server) is tested beside, on the embedded one.
 */
export function logEventsOn(product: Product): void {
  runOn(product, { storing, reading, exporting, deleting, following, 'starting jobs': startingJobs, access })
}
