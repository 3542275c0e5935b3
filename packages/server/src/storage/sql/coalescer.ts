import { isCondition } from './conditions.ts'

/**
 * Batches of one kind under way at once. A second one pays where there is enough for it: then it is worked on while the first
 * waits for the disk. Few calls are better off together with those that come until the first is through.
 */
const AT_ONCE = 2
const ENOUGH = 0.25

interface Waiting<Call, Answer> {
  readonly call: Call
  readonly weight: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * Has concurrent calls of one kind done together, in one transaction. No time is waited for it: what comes in one turn of
 * the event loop goes at once, and what comes while a batch is under way goes with the next one.
 *
 * A call that fails must not take its neighbours along: then each is done alone. What is done is therefore a function of the
 * database only; it may run twice.
 */
export class Coalescer<Call, Answer> {
  readonly #run: (calls: readonly Call[]) => Promise<readonly Answer[]>
  readonly #weightOf: (call: Call) => number
  readonly #heaviest: number
  readonly #whenIdle: () => void
  #waiting: Waiting<Call, Answer>[] = []
  #underWay = 0
  #scheduled = false

  /**
   * @param heaviest a batch ends with the call that brings it to this weight.
   * @param whenIdle is told when nothing is left to be done.
   */
  constructor(
    run: (calls: readonly Call[]) => Promise<readonly Answer[]>,
    weightOf: (call: Call) => number,
    heaviest: number,
    whenIdle: () => void = () => {},
  ) {
    this.#run = run
    this.#weightOf = weightOf
    this.#heaviest = heaviest
    this.#whenIdle = whenIdle
  }

  do(call: Call): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, weight: this.#weightOf(call), resolve, reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#underWay === AT_ONCE) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      while (this.#mayBegin()) void this.#doBatch(this.#nextBatch())
    })
  }

  #mayBegin(): boolean {
    if (this.#waiting.length === 0 || this.#underWay === AT_ONCE) return false
    if (this.#underWay === 0) return true
    return this.#waiting.reduce((sum, { weight }) => sum + weight, 0) >= ENOUGH * this.#heaviest
  }

  #nextBatch(): Waiting<Call, Answer>[] {
    let weight = 0
    let count = 0
    while (count < this.#waiting.length && weight < this.#heaviest) weight += this.#waiting[count++]!.weight
    return this.#waiting.splice(0, count)
  }

  async #doBatch(batch: readonly Waiting<Call, Answer>[]): Promise<void> {
    this.#underWay++
    const error = await this.#try(batch)
    if (error !== null) {
      if (batch.length === 1 || isCondition(error)) for (const { reject } of batch) reject(error)
      else for (const one of batch) await this.#doAlone(one)
    }
    this.#underWay--
    if (this.#waiting.length > 0) this.#schedule()
    else if (this.#underWay === 0) this.#whenIdle()
  }

  async #doAlone(one: Waiting<Call, Answer>): Promise<void> {
    const error = await this.#try([one])
    if (error !== null) one.reject(error)
  }

  /** @returns what was thrown, if anything; then nothing is stored and nobody has been answered. */
  async #try(batch: readonly Waiting<Call, Answer>[]): Promise<unknown> {
    try {
      const answers = await this.#run(batch.map(({ call }) => call))
      for (const [index, { resolve }] of batch.entries()) resolve(answers[index]!)
      return null
    } catch (error) {
      return error ?? new Error('a batch threw nothing')
    }
  }
}

/** Gives to each call its part of what was answered to all. */
export function shareOut<Result>(counts: readonly number[], results: readonly Result[]): (readonly Result[])[] {
  let at = 0
  return counts.map((count) => {
    at += count
    return results.slice(at - count, at)
  })
}
