/** Which rows of `octoflow_stats` to read, in minutes since the epoch: hours where they fit, minutes at the ragged ends. */
export function rangesOf(
  from: number,
  to: number,
  byHours: boolean,
): readonly (readonly [span: number, first: number, beyond: number])[] {
  const firstHour = Math.ceil(from / 60) * 60
  const lastHour = Math.floor(to / 60) * 60
  if (!byHours || firstHour >= lastHour) return [[1, from, to]]
  return [
    [1, from, firstHour],
    [60, firstHour, lastHour],
    [1, lastHour, to],
  ]
}
