/** One of the Server-Sent Events, https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface ServerEvent {
  /** `null` if the event has none of its own. */
  readonly id: string | null
  readonly name: string
  readonly data: string
}

/** Reads events until the connection ends, be it by the server or by an error. */
export async function* readEventStream(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  let rest = ''
  let id: string | null = null
  let name = 'message'
  let data: string[] = []
  for await (const chunk of body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
    const lines = (rest + chunk).split(/\r?\n/)
    rest = lines.pop()!
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { id, name, data: data.join('\n') }
        id = null
        name = 'message'
        data = []
        continue
      }
      const [, field, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? []
      if (field === 'id') id = value ?? ''
      else if (field === 'event') name = value ?? ''
      else if (field === 'data') data.push(value ?? '')
    }
  }
}
