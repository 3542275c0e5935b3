import type { Owner } from '../../support/owner.ts'

type CleanUp = () => Promise<void> | void

/** An owner that ends when it is told to, for what does not live as long as a test. */
export class Lifetime implements Owner, AsyncDisposable {
  readonly #cleanUps: CleanUp[] = []

  after(cleanUp: CleanUp): void {
    this.#cleanUps.push(cleanUp)
  }

  async end(): Promise<void> {
    for (const cleanUp of this.#cleanUps.splice(0)) await cleanUp()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end()
  }
}
