/**
 * Runs the tests and ends with one line that counts them: `N passed, N failed, N skipped`.
 *
 *   node scripts/test.ts                  all of them
 *   node scripts/test.ts --fast           those of the packages but for the slow ones: no servers, child processes, crashes
 *   node scripts/test.ts e2e/capture …    the files below these paths
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const PACKAGES = ['packages/*/test/**/*.test.ts']
/** Tests of the packages that start database servers, or processes by the dozen, or write hundreds of megabytes. */
const SLOW = [
  'packages/server/test/drivers/{postgres,mysql,mongodb}*.test.ts',
  'packages/server/test/drivers/sqlite-{on-disk,durability,portions,processes}.test.ts',
  'packages/worker/test/{isolation,running,out-of-memory}.test.ts',
]
const ALL = [...PACKAGES, 'e2e/**/*.test.ts', 'examples/**/*.test.ts']

/** Longer than the slowest file takes on a slow machine; a file that hangs fails rather than holding everything up. */
const FILE_TIMEOUT_MS = 20 * 60_000

const files = testFiles(process.argv.slice(2))
if (files.length === 0) {
  console.error('No test file matches.')
  process.exit(1)
}

const counts = { passed: 0, failed: 0, skipped: 0 }
const skipped: string[] = []

const stream = run({ files, concurrency: availableParallelism(), timeout: FILE_TIMEOUT_MS })
stream.on('test:pass', ({ name, skip, details }) => {
  if (details.type === 'suite') return
  if (skip === undefined || skip === false) counts.passed++
  else {
    counts.skipped++
    skipped.push(typeof skip === 'string' && skip !== '' ? `${name}: ${skip}` : name)
  }
})
stream.on('test:fail', ({ details }) => {
  if (details.type !== 'suite' || isOwnFailure(details.error)) counts.failed++
})
stream.compose(spec).pipe(process.stdout, { end: false })
stream.once('end', () => setImmediate(finish))

function finish(): void {
  if (skipped.length > 0) console.log(`\nSkipped:\n${skipped.map((line) => `  ${line}`).join('\n')}`)
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0
}

/** A suite whose tests failed is not counted beside them, but one that failed by itself is: in a hook, or while loading. */
function isOwnFailure(error: unknown): boolean {
  return (error as { failureType?: string } | undefined)?.failureType !== 'subtestsFailed'
}

function testFiles(args: readonly string[]): string[] {
  const paths = args.filter((arg) => !arg.startsWith('--'))
  const fast = args.includes('--fast')
  const patterns = fast
    ? PACKAGES
    : paths.length === 0
      ? ALL
      : paths.flatMap((path) => (path.endsWith('.ts') ? path : `${path.replace(/\/$/, '')}/**/*.test.ts`))
  return [...new Set(globSync(patterns, { exclude: ['**/node_modules/**', ...(fast ? SLOW : [])] }))].sort()
}
