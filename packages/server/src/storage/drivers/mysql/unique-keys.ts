import type { Queryable } from './connection.ts'

/** Which pending or running jobs hold unique keys, by queue and key as `7:key`. */
export async function uniqueHolders(
  from: Queryable,
  keys: readonly (readonly [queueId: number, key: string])[],
): Promise<Map<string, number>> {
  const byQueue = [...Map.groupBy(keys, ([queueId]) => queueId)]
  const rows = await Promise.all(
    byQueue.map(([queueId, of]) =>
      from.rows<[number, string, number]>(
        SELECT_HOLDERS,
        queueId,
        of.map(([, key]) => key),
      ),
    ),
  )
  return new Map(rows.flat().map(([queueId, key, id]) => [`${queueId}:${key}`, id]))
}

const SELECT_HOLDERS = `SELECT queue_id, unique_key, id FROM octoflow_requests FORCE INDEX (octoflow_requests_unique)
  WHERE unique_queue = ? AND unique_key IN (?)`
