import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Figures } from './runs.ts'

/** One bar of a suite and whether it is met. */
export interface Bar {
  readonly what: string
  readonly wanted: string
  readonly measured: string
  readonly met: boolean
}

export interface Report {
  readonly suite: string
  readonly title: string
  /** How it was measured: settings, sizes, what the candidates do. */
  readonly setup: readonly string[]
  readonly bars: readonly Bar[]
  /** Further figures, as Markdown tables or sentences. */
  readonly details: readonly string[]
}

const FILE = new URL('./RESULTS.md', import.meta.url)

/** Says which bars were met. */
export function tellBars({ bars }: Report): void {
  for (const { what, wanted, measured, met } of bars)
    console.log(`${met ? 'met   ' : 'MISSED'} ${what}: ${measured} (wanted ${wanted})`)
}

/** Writes the sections of these reports; those of other suites stay as they are. */
export function writeReport(reports: readonly Report[], machine: readonly string[]): void {
  const sections = new Map(existsSync(FILE) ? sectionsOf(readFileSync(FILE, 'utf8')) : [])
  for (const report of reports) sections.set(report.suite, toMarkdown(report, machine))
  const body = [...sections].map(([suite, text]) => `<!-- suite ${suite} -->\n${text}`).join('\n')
  writeFileSync(FILE, `${HEAD}\n${body}`)
  console.log('\nwritten to bench/RESULTS.md')
}

const HEAD = `# Measured

Written by \`npm run bench\`. Absolute figures belong to the machine that is named with them; the ratios are of candidates that ran
in turn (A B A B …) in the same run. Every figure is the median of the counted runs, with the least and the greatest in brackets.
`

function sectionsOf(text: string): [string, string][] {
  return text
    .split(/<!-- suite (\w+) -->\n/)
    .slice(1)
    .reduce<[string, string][]>((sections, part, index, parts) => {
      if (index % 2 === 0) sections.push([part, `${(parts[index + 1] ?? '').trimEnd()}\n`])
      return sections
    }, [])
}

function toMarkdown({ title, setup, bars, details }: Report, machine: readonly string[]): string {
  const rows = bars.map(
    ({ what, wanted, measured, met }) => `| ${what} | ${wanted} | ${measured} | ${met ? 'yes' : '**no**'} |`,
  )
  return [
    `## ${title}`,
    '',
    ...[...machine, ...setup].map((line) => `- ${line}`),
    '',
    '| | wanted | measured | met |',
    '|---|---|---|---|',
    ...rows,
    '',
    ...details.flatMap((detail) => [detail, '']),
  ].join('\n')
}

export const showRate = ({ median, min, max }: Figures, unit: string): string =>
  `${thousands(median)} ${unit} [${thousands(min)} … ${thousands(max)}]`

export const showPercent = ({ median, min, max }: Figures): string =>
  `${Math.round(median * 100)}% [${Math.round(min * 100)} … ${Math.round(max * 100)}]`

export const showTimes = ({ median, min, max }: Figures): string =>
  `${median.toFixed(0)}× [${min.toFixed(0)} … ${max.toFixed(0)}]`

export const showMs = ({ median, min, max }: Figures): string =>
  `${median.toFixed(2)} ms [${min.toFixed(2)} … ${max.toFixed(2)}]`

/** Of what is few or less than one for each. */
export const showPerJob = ({ median, min, max }: Figures): string =>
  `${median.toPrecision(2)} [${min.toPrecision(2)} … ${max.toPrecision(2)}]`

function thousands(value: number): string {
  if (value >= 100_000) return `${Math.round(value / 1000)}k`
  if (value >= 1_000) return `${(value / 1000).toFixed(1)}k`
  return value.toFixed(value < 10 ? 1 : 0)
}
