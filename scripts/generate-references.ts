/**
 * Writes the pages of docs/reference.
 *
 *   node scripts/generate-references.ts            writes those that are out of date
 *   node scripts/generate-references.ts --check    only names them, and ends with 1 if there are any
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { references } from './references.ts'

const ROOT = join(import.meta.dirname, '..')
const FOLDER = join(ROOT, 'docs', 'reference')

const check = process.argv.includes('--check')
mkdirSync(FOLDER, { recursive: true })
for (const [name, text] of await references()) {
  const path = join(FOLDER, name)
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
  if (check) process.exitCode = 1
  else writeFileSync(path, text)
  console.log(check ? `${relative(ROOT, path)} is out of date: npm run docs` : `wrote ${relative(ROOT, path)}`)
}
