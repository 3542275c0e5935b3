import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { styleText } from 'node:util'

export type Style = Parameters<typeof styleText>[0]

/** Where text for people goes. */
export class Screen {
  readonly #stream: Writable & { readonly isTTY?: boolean; readonly columns?: number }

  constructor(stream: Writable & { readonly isTTY?: boolean; readonly columns?: number }) {
    this.#stream = stream
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true
  }

  /** In columns; without end where there is no terminal, so that nothing is cut off for a program that reads. */
  get width(): number {
    return this.isTerminal ? (this.#stream.columns ?? 80) : Number.POSITIVE_INFINITY
  }

  /** Colours the text where that is wanted: on a terminal, unless NO_COLOR or FORCE_COLOR say otherwise. */
  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#stream, validateStream: true })
  }

  write(text: string): void {
    this.#stream.write(text)
  }

  /** Resolves when there is room for more. */
  async written(text: string): Promise<void> {
    if (!this.#stream.write(text) && !this.#stream.destroyed) await once(this.#stream, 'drain')
  }

  line(text = ''): void {
    this.#stream.write(`${text}\n`)
  }

  /** A value as one JSON document on a line of its own. */
  json(value: unknown): void {
    this.jsonText(JSON.stringify(value))
  }

  jsonText(text: string): void {
    this.jsonPart(`${text}\n`)
  }

  /** JSON text, or a part of it. Control characters that JSON may hold, but a terminal would obey, are written as escapes. */
  jsonPart(text: string): void {
    this.write(text.replace(/[\u007f-\u009f]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`))
  }
}
