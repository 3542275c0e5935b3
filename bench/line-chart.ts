/** A chart with a line for each candidate. */
export interface LineChart {
  readonly title: string
  readonly lines: readonly { readonly name: string; readonly values: readonly number[] }[]
}

/** What charts that stand side by side have in common: the steps along the bottom. */
export interface Axis {
  readonly title: string
  readonly labels: readonly string[]
}

const WIDTH = 300
const HEIGHT = 170
const MARGIN = { left: 46, right: 22, top: 34, bottom: 44 }
const COLOURS = ['#0b6e99', '#c2571a', '#3f7d20', '#7a3e9d']
const TICKS = 4

/** Draws charts side by side over the same steps, as SVG that reads on light and dark ground. */
export function lineChart(axis: Axis, charts: readonly LineChart[]): string {
  const width = WIDTH + MARGIN.left + MARGIN.right
  const height = HEIGHT + MARGIN.top + MARGIN.bottom
  const drawn = charts.map((chart, index) => `<g transform="translate(${index * width})">\n${draw(axis, chart)}\n</g>`)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width * charts.length} ${height + 18}" font-family="sans-serif" font-size="11">`,
    `<title>${charts.map(({ title }) => title).join('; ')}</title>`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...drawn,
    ...(charts[0]?.lines ?? []).map(
      ({ name }, index) =>
        `<g transform="translate(${MARGIN.left + index * 110} ${height + 4})"><rect width="14" height="3" fill="${colour(index)}"/><text x="20" y="5">${name}</text></g>`,
    ),
    '</svg>\n',
  ].join('\n')
}

function draw({ title, labels }: Axis, chart: LineChart): string {
  const top = roundUp(Math.max(...chart.lines.flatMap(({ values }) => values)))
  const x = (step: number): number => MARGIN.left + (WIDTH * step) / Math.max(1, labels.length - 1)
  const y = (value: number): number => MARGIN.top + HEIGHT * (1 - value / top)
  const ticks = Array.from({ length: TICKS + 1 }, (_, tick) => (top * tick) / TICKS)
  return [
    `<text x="${MARGIN.left}" y="18" font-weight="bold">${chart.title}</text>`,
    ...ticks.map(
      (value) =>
        `<path d="M${x(0)} ${y(value)}h${WIDTH}" stroke="#ddd"/><text x="${MARGIN.left - 6}" y="${y(value) + 4}" text-anchor="end">${short(value)}</text>`,
    ),
    ...labels.map((label, step) => `<text x="${x(step)}" y="${MARGIN.top + HEIGHT + 16}" text-anchor="middle">${label}</text>`),
    `<text x="${MARGIN.left + WIDTH / 2}" y="${MARGIN.top + HEIGHT + 32}" text-anchor="middle">${title}</text>`,
    ...chart.lines.map(({ values }, index) => {
      const points = values.map((value, step) => `${x(step)},${y(value).toFixed(1)}`)
      const dots = values.map(
        (value, step) => `<circle cx="${x(step)}" cy="${y(value).toFixed(1)}" r="3" fill="${colour(index)}"/>`,
      )
      return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour(index)}" stroke-width="2"/>${dots.join('')}`
    }),
  ].join('\n')
}

const colour = (index: number): string => COLOURS[index % COLOURS.length]!

/** The next of 1, 2, 4, 6, 8, 10 times a power of ten, so that the ticks are round. */
function roundUp(value: number): number {
  if (!(value > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value)!
}

const short = (value: number): string => String(Number(value.toPrecision(3)))
