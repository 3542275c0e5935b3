import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'

/** @param failures what went wrong, in words. */
export const verdict = (failures: readonly string[]): string =>
  failures.length === 0 ? 'Every promise was kept.' : `**It failed:**\n\n${failures.map((line) => `- ${line}`).join('\n')}`

/** The machine and the versions. @param database name and version. */
export const circumstances = (database: string): string =>
  `- ${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}
- Node ${process.versions.node}, ${database}, commit ${commit()}`

/** A Markdown table as the formatter would have it: the first row is its head, all columns but the first are of numbers. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  const [head, ...body] = rows
  return [head!, rule, ...body].map(line).join('\n')
}

export const number = (value: number): string => value.toLocaleString('en')

export const today = (): string => new Date().toISOString().slice(0, 10)

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
