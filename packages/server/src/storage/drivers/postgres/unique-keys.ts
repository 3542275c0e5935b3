import type { Queryable } from './connection.ts'
import { array, textArray } from './values.ts'

/** Which pending or running jobs hold unique keys, by queue and key as `7:key`. */
export async function uniqueHolders(
  from: Queryable,
  keys: readonly (readonly [queueId: number, key: string])[],
): Promise<Map<string, number>> {
  const holders = await from.rows<[number, string, number]>(
    SELECT_HOLDERS,
    array(keys.map(([queueId]) => queueId)),
    textArray(keys.map(([, key]) => key)),
  )
  return new Map(holders.map(([queueId, key, id]) => [`${queueId}:${key}`, id]))
}

const SELECT_HOLDERS = `SELECT r.queue_id, r.unique_key, r.id
  FROM unnest($1::integer[], $2::text[]) AS u (queue_id, key)
  JOIN octoflow_requests r ON r.queue_id = u.queue_id AND r.unique_key = u.key AND r.unique_key IS NOT NULL AND r.stage <= 3`
