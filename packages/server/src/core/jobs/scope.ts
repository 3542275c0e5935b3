import type { QueueScope } from '../../model/access.ts'

/** A filter narrowed to the queues that the caller may see. */
export function withinScope<Filter extends { readonly queues?: readonly string[] | undefined }>(
  filter: Filter,
  scope: QueueScope,
): Filter {
  if (scope === null) return filter
  return { ...filter, queues: filter.queues === undefined ? scope : filter.queues.filter((queue) => scope.includes(queue)) }
}
