import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../../../..')

const pages = globSync('**/*.md', { cwd: ROOT, exclude: ['**/node_modules', 'dist', 'data'] })

/** The text without its code, in which brackets are no links and hashes no headings. */
const prose = (text: string): string => text.replaceAll(/^(`{3,}|~{3,}).*?^\1$/gms, '')

/** The targets of inline links, without titles. */
const linksOf = (text: string): readonly string[] =>
  [...prose(text).matchAll(/\[(?:[^[\]]|`[^`]*`)*\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map(([, target]) => target!)

/** The names that GitHub gives to the headings of a page. */
function anchorsOf(text: string): ReadonlySet<string> {
  const names = new Map<string, number>()
  for (const [, heading] of prose(text).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const name = heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-')
    names.set(name, (names.get(name) ?? 0) + 1)
  }
  return new Set(
    [...names].flatMap(([name, count]) => [name, ...Array.from({ length: count - 1 }, (_, at) => `${name}-${at + 1}`)]),
  )
}

/** What is wrong with a link; `null` if it leads somewhere. */
function fault(page: string, target: string): string | null {
  if (/^(?:https?|mailto):/.test(target)) return URL.canParse(target) ? null : `${target} is no address`
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? join(ROOT, page) : resolve(ROOT, dirname(page), path)
  if (relative(ROOT, file).startsWith('..')) return `${target} leads out of the repository`
  if (!existsSync(file)) return `${target} does not exist`
  if (anchor === undefined) return null
  if (!statSync(file).isFile()) return `${target} is no page that has anchors`
  return anchorsOf(readFileSync(file, 'utf8')).has(anchor) ? null : `${target} has no such heading`
}

for (const page of pages)
  test(`Every link of ${page} leads somewhere.`, () => {
    const faults = linksOf(readFileSync(join(ROOT, page), 'utf8')).map((target) => fault(page, target))
    assert.deepEqual(
      faults.filter((found) => found !== null),
      [],
    )
  })

test('A broken link is found.', () => {
  assert.deepEqual(linksOf('see [a `b`](c.md#d), [e](f.md "g")\n```\n[not](this)\n```\n'), ['c.md#d', 'f.md'])
  assert.match(fault('README.md', 'docs/nowhere.md')!, /does not exist/)
  assert.match(fault('README.md', 'docs/glossary.md#nowhere')!, /no such heading/)
  assert.match(fault('README.md', '../elsewhere.md')!, /out of the repository/)
  assert.equal(fault('README.md', 'docs/glossary.md#glossary'), null)
})

test('Every page below docs is linked from another.', () => {
  const linked = new Set(
    pages.flatMap((page) =>
      linksOf(readFileSync(join(ROOT, page), 'utf8')).map((target) =>
        relative(ROOT, resolve(ROOT, dirname(page), target.split('#')[0]!)),
      ),
    ),
  )
  assert.deepEqual(
    pages.filter((page) => page.startsWith('docs/') && !linked.has(page)),
    [],
  )
})
