import type { CreatedKey } from '@octoflow/protocol'
import type { Answer } from '../client/api-client.ts'
import type { JsonOption } from '../options.ts'
import { oneLine } from '../output/text.ts'
import type { Session } from '../session.ts'

/** The key alone goes to standard output, so that a script can take it. */
export function printKey({ out, err }: Session, { value, text }: Answer<CreatedKey>, { json }: JsonOption): void {
  if (json) {
    out.jsonText(text)
    return
  }
  const { id, name, role, queues, key } = value
  const scope = queues === null ? 'for all queues' : `for ${queues.map(oneLine).join(', ')}`
  err.line(`Key ${id} (${oneLine(name)}), role ${role}, ${scope}. It is shown this once; keep it secret:`)
  out.line(key)
}
