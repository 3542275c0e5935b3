import { catalogue, type ErrorCode, type ErrorEntry } from './catalogue.ts'

/** Errors that are looked for in the same situation. */
export interface ErrorGroup {
  readonly title: string
  readonly text: string
  readonly entries: readonly (readonly [code: ErrorCode, entry: ErrorEntry])[]
}

/** The catalogue in the order of both pages that show it, this reference and the server's own. */
export function errorGroups(): readonly ErrorGroup[] {
  const entries = Object.entries(catalogue) as [ErrorCode, ErrorEntry][]
  const group = (title: string, text: string, belongs: (entry: ErrorEntry) => boolean): ErrorGroup => ({
    title,
    text,
    entries: entries.filter(([, entry]) => belongs(entry)),
  })
  return [
    group('Of the call', 'The call has to be changed, or made at another time.', ({ status }) => status < 500),
    group(
      'Of the server',
      'The call was right; the server could not serve it.',
      (entry) => entry.status >= 500 && !endsTheStart(entry),
    ),
    group('At the start', 'Printed by `octoflow`, which ends with a code other than 0; never an answer.', endsTheStart),
  ]
}

/** No answer has 500 but `internal`, which may well be gone at the next try. */
const endsTheStart = ({ status, retryable }: ErrorEntry): boolean => status === 500 && !retryable

/** docs/reference/errors.md */
export function errorReference(): string {
  return `${[INTRODUCTION, ...errorGroups().map(section)].join('\n\n')}\n`
}

const INTRODUCTION = `# Errors

Generated from \`packages/server/src/errors/catalogue.ts\` by \`npm run docs\`. The running server has the same at \`/docs/errors\`.

The native API answers errors as \`application/problem+json\` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)):

\`\`\`json
{
  "type": "/docs/errors#job_not_found",
  "title": "job not found",
  "status": 404,
  "code": "job_not_found",
  "detail": "There is no job 12.",
  "hint": "It was deleted, by hand or by its queue’s retention, or it never existed.",
  "instance": "req-7"
}
\`\`\`

Decide by \`code\`, which stays; the words may change. Where several parts of a call do not fit, \`errors\` lists all of them.
\`instance\` is the call’s id in the server’s log. The capture API answers \`{"message": "…"}\` with the same status.

Words in braces stand for the details of an occurrence. What is *retryable* may succeed when the same call is repeated later;
\`Retry-After\`, where it is sent, says when.`

function section({ title, text, entries }: ErrorGroup): string {
  const rows = entries.map(([code, { status, retryable, message }]) => {
    const [first] = message.split('\n')
    return `| [\`${code}\`](#${code}) | ${status} | ${retryable ? 'yes' : 'no'} | ${first!} |`
  })
  const table = ['| Code | Status | Retryable | Message |', '| --- | --- | --- | --- |', ...rows].join('\n')
  return [`## ${title}`, text, table, ...entries.map(([code, entry]) => details(code, entry))].join('\n\n')
}

const details = (code: ErrorCode, { status, retryable, message, hint }: ErrorEntry): string =>
  `### ${code}\n\n${status}${retryable ? ', retryable' : ''}. ${message.replace('\n', ' ')}\n\n${hint}`
