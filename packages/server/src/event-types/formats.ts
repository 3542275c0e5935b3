import { fromIso } from '../lib/time.ts'

const LONGEST_ADDRESS = 254
const LONGEST_LOCAL_PART = 64
const LONGEST_LABEL = 63

/** As https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2 has it without quotes, and with letters of any language (RFC 6531). */
const ATOM = "[\\p{L}\\p{N}\\p{M}!#$%&'*+/=?^_`{|}~-]+"
const LABEL = `[\\p{L}\\p{N}\\p{M}](?:[\\p{L}\\p{N}\\p{M}-]{0,${LONGEST_LABEL - 2}}[\\p{L}\\p{N}\\p{M}])?`
const ADDRESS = new RegExp(`^${ATOM}(?:\\.${ATOM})*@(?:${LABEL}\\.)+(?!\\d+$)${LABEL}$`, 'u')

/** An address of somebody somewhere: a domain has two parts at least. */
function isEmail(text: string): boolean {
  if (text.length > LONGEST_ADDRESS || text.indexOf('@') > LONGEST_LOCAL_PART) return false
  return ADDRESS.test(text)
}

/** The formats of JSON Schema that are checked; all others are remarks. */
export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  email: isEmail,
  'date-time': (text) => text.length > 'yyyy-mm-dd'.length && fromIso(text) !== null,
  date: (text) => text.length === 'yyyy-mm-dd'.length && fromIso(text) !== null,
}
