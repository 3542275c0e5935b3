/** Which number stands for which queue. A queue keeps its number and is never deleted, so what is known stays true. */
export class QueueNames {
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<number, string>()

  idOf(name: string): number | undefined {
    return this.#ids.get(name)
  }

  nameOf(id: number): string | undefined {
    return this.#names.get(id)
  }

  /** To be told of committed queues only. */
  remember(id: number, name: string): void {
    this.#ids.set(name, id)
    this.#names.set(id, name)
  }
}
