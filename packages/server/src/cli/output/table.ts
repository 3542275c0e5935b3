import type { Screen, Style } from './screen.ts'
import { cut, displayWidth, oneLine } from './text.ts'

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string | number | null
  readonly align?: 'right'
  readonly style?: (row: Row) => Style | null
  /** Gives way first where the terminal is too narrow, down to a few columns. */
  readonly flexible?: boolean
  /** Left out altogether where the terminal is too narrow even so; the highest number first. */
  readonly optional?: number
}

const GAP = 2
const NARROWEST = 8

/**
 * A table that fits the terminal. Widths follow from the rows given first, so that long lists can be shown page by page;
 * where no terminal is, nothing is cut off.
 */
export class Table<Row> {
  readonly #screen: Screen
  #columns: readonly Column<Row>[]
  #widths: number[] | null = null

  constructor(screen: Screen, columns: readonly Column<Row>[]) {
    this.#screen = screen
    this.#columns = columns
  }

  /** Whether any rows were shown. */
  get begun(): boolean {
    return this.#widths !== null
  }

  rows(rows: readonly Row[]): void {
    if (rows.length === 0) return
    const widths = this.#widths ?? this.#begin(rows)
    for (const row of rows) {
      const cells = this.#columns.map((column, index) => this.#cell(column, row, widths[index]!))
      this.#screen.line(this.#join(cells, widths))
    }
  }

  #begin(rows: readonly Row[]): number[] {
    const natural = (column: Column<Row>): number =>
      Math.max(displayWidth(column.title), ...rows.map((row) => displayWidth(textOf(column, row))))
    const fitted = fit(
      this.#columns.map((column) => ({ column, width: natural(column) })),
      this.#screen.width,
    )
    this.#columns = fitted.map(({ column }) => column)
    this.#widths = fitted.map(({ width }) => width)
    const titles = this.#columns.map(({ title }, index) => ({
      text: cut(title, this.#widths![index]!),
      style: 'bold' as const,
    }))
    this.#screen.line(this.#join(titles, this.#widths))
    return this.#widths
  }

  #cell(column: Column<Row>, row: Row, width: number): Cell {
    const text = textOf(column, row)
    const shown = this.#screen.isTerminal ? cut(text, width) : text
    return { text: shown, style: column.style?.(row) ?? null }
  }

  #join(cells: readonly Cell[], widths: readonly number[]): string {
    const last = this.#columns.length - 1
    return cells
      .map(({ text, style }, index) => {
        const padding = ' '.repeat(Math.max(0, widths[index]! - displayWidth(text)))
        const painted = style === null ? text : this.#screen.paint(style, text)
        if (this.#columns[index]!.align === 'right') return padding + painted
        return index === last ? painted : painted + padding
      })
      .join(' '.repeat(GAP))
      .trimEnd()
  }
}

interface Cell {
  readonly text: string
  readonly style: Style | null
}

interface Fitted<Row> {
  readonly column: Column<Row>
  width: number
}

const textOf = <Row>(column: Column<Row>, row: Row): string => oneLine(String(column.value(row) ?? ''))

/** Narrows the flexible columns, leaves out optional ones, and at last cuts what is widest. */
function fit<Row>(columns: readonly Fitted<Row>[], width: number): readonly Fitted<Row>[] {
  let kept = columns
  for (;;) {
    const fitted = kept.map((column) => ({ ...column }))
    const excess = narrow(fitted, width)
    if (excess <= 0) return fitted
    const [leastNeeded] = kept
      .filter(({ column }) => column.optional !== undefined)
      .toSorted((a, b) => b.column.optional! - a.column.optional!)
    if (leastNeeded === undefined) return cutWidest(fitted, excess)
    kept = kept.filter((column) => column !== leastNeeded)
  }
}

/** @returns by how many columns the table is too wide even so. */
function narrow<Row>(columns: readonly Fitted<Row>[], width: number): number {
  let excess = columns.reduce((sum, column) => sum + column.width + GAP, -GAP) - width
  for (const column of columns.filter((candidate) => candidate.column.flexible === true)) {
    const given = Math.max(0, Math.min(excess, column.width - NARROWEST))
    column.width -= given
    excess -= given
  }
  return excess
}

function cutWidest<Row>(columns: readonly Fitted<Row>[], excess: number): readonly Fitted<Row>[] {
  for (let left = excess; left > 0; left--) {
    const widest = columns.reduce((a, b) => (b.width > a.width ? b : a))
    if (widest.width <= 1) break
    widest.width--
  }
  return columns
}

/** Names and values, one pair a line. */
export function fields(screen: Screen, pairs: readonly (readonly [name: string, value: string | null])[]): void {
  const shown = pairs.filter(([, value]) => value !== null)
  const width = Math.max(...shown.map(([name]) => name.length))
  for (const [name, value] of shown) screen.line(`  ${screen.paint('dim', name.padEnd(width))}  ${value}`)
}
