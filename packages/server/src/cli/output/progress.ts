import { count, humanSeconds } from './format.ts'
import type { Screen } from './screen.ts'
import { cut } from './text.ts'

/** Often enough to look alive, seldom enough to cost nothing. */
const DRAW_EVERY_MS = 100
const LINE_EVERY_MS = 5_000
const CLEAR = '\r\u001b[K'
const BAR = 24

/** A line of a terminal that is written over and over. */
export class StatusLine {
  readonly #screen: Screen
  #drawn = false

  constructor(screen: Screen) {
    this.#screen = screen
  }

  show(text: string): void {
    this.#screen.write(`${CLEAR}${cut(text, this.#screen.width - 1)}`)
    this.#drawn = true
  }

  /** Takes the line away, so that what follows begins on a clean one. */
  clear(): void {
    if (this.#drawn) this.#screen.write(CLEAR)
    this.#drawn = false
  }
}

export interface ProgressOptions {
  /** What is being done: `Submitting`. */
  readonly label: string
  /** What is counted: `lines`. */
  readonly unit: string
  /** `false` where nothing but the result may be written. */
  readonly shown: boolean
}

/** How far long work has got: a bar on a terminal, a line now and then elsewhere. Goes to standard error. */
export class Progress {
  readonly #screen: Screen
  readonly #options: ProgressOptions
  readonly #status: StatusLine
  readonly #begunAt = performance.now()
  #shownAt: number
  /** Shows what came too soon after the last drawing, should nothing follow. */
  #later: NodeJS.Timeout | null = null

  constructor(screen: Screen, options: ProgressOptions) {
    this.#screen = screen
    this.#options = options
    this.#status = new StatusLine(screen)
    this.#shownAt = screen.isTerminal ? Number.NEGATIVE_INFINITY : this.#begunAt
  }

  /**
   * @param total `null` where it is not known.
   * @param fraction how much of the whole is done, where that is known although the total is not.
   */
  update(done: number, total: number | null, fraction = total === null || total === 0 ? null : done / total): void {
    if (!this.#options.shown) return
    this.#cancel()
    const now = performance.now()
    const left = this.#shownAt + (this.#screen.isTerminal ? DRAW_EVERY_MS : LINE_EVERY_MS) - now
    if (left > 0) {
      this.#later = setTimeout(() => this.update(done, total, fraction), left).unref()
      return
    }
    this.#shownAt = now
    const text = this.#text(done, total, fraction, (now - this.#begunAt) / 1_000)
    if (this.#screen.isTerminal) this.#status.show(text)
    else this.#screen.line(text)
  }

  /** Takes the bar away. */
  end(): void {
    this.#cancel()
    this.#status.clear()
  }

  #cancel(): void {
    if (this.#later !== null) clearTimeout(this.#later)
    this.#later = null
  }

  #text(done: number, total: number | null, fraction: number | null, seconds: number): string {
    const { label, unit } = this.#options
    const measured = seconds >= 0.5 && done > 0
    const unfinished = fraction !== null && fraction > 0 && fraction < 1
    return [
      label,
      fraction !== null && this.#screen.isTerminal ? bar(fraction) : '',
      total === null ? `${count(done)} ${unit}` : `${count(done)} of ${count(total)} ${unit}`,
      measured ? `${count(Math.round(done / seconds))}/s` : '',
      measured && unfinished ? `${humanSeconds((seconds / fraction) * (1 - fraction))} left` : '',
    ]
      .filter((part) => part !== '')
      .join('  ')
  }
}

/** @param fraction what lies outside 0 to 1 counts as the nearer end. */
export function bar(fraction: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * BAR)
  return '█'.repeat(full) + '░'.repeat(BAR - full)
}
