import { catalogue, type ErrorEntry } from './catalogue.ts'

/** docs/reference/errors.md */
export function errorReference(): string {
  const entries = Object.entries(catalogue) as [string, ErrorEntry][]
  return [
    '# Errors',
    '',
    'Generated from `packages/server/src/errors/catalogue.ts` by `npm run docs`.',
    '',
    'The native API answers errors as `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) with these codes;',
    'the capture API as `{"message": "…"}`. Words in braces stand for the details of the occurrence. A retryable error may be gone',
    'when the same call is repeated later; `Retry-After`, where it is sent, says when.',
    '',
    ...entries.flatMap(([code, { status, retryable, message, hint }]) => [
      `## ${code}`,
      '',
      `${status}${retryable ? ', retryable' : ''}. ${message.replace('\n', ' ')}`,
      '',
      hint,
      '',
    ]),
  ].join('\n')
}
