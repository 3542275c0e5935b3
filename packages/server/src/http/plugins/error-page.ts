import type { ErrorCode, ErrorEntry } from '../../errors/catalogue.ts'
import { type ErrorGroup, errorGroups } from '../../errors/reference.ts'

/** The page at `/docs/errors`: every error under its code as anchor, so that `/docs/errors#job_not_found` leads to that one. */
export function errorPage(): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Octoflow: errors</title>
<style>${STYLE}</style>
<h1>Errors</h1>
<p>Words in braces stand for the details of an occurrence. What is retryable may succeed when the same call is repeated later;
<code>Retry-After</code>, where it is sent, says when. <a href="/docs/">The routes</a></p>
${errorGroups().map(section).join('\n')}
</html>
`
}

const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 46rem; padding: 1rem; }
article { padding: 0 1rem; }
article:target { outline: 2px solid; }
small { font-weight: normal; }
`

const section = ({ title, text, entries }: ErrorGroup): string =>
  `<h2>${toHtml(title)}</h2>
<p>${toHtml(text)}</p>
${entries.map(([code, entry]) => article(code, entry)).join('\n')}`

const article = (code: ErrorCode, { status, retryable, message, hint }: ErrorEntry): string =>
  `<article id="${code}">
<h3><a href="#${code}"><code>${code}</code></a> <small>${status}${retryable ? ', retryable' : ''}</small></h3>
<p>${toHtml(message)}</p>
<p>${toHtml(hint)}</p>
</article>`

/** Text of the catalogue, in which backquotes mark code. */
const toHtml = (text: string): string => escapeHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>')

const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
