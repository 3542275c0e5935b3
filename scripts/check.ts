/** What must hold before every commit, in under a minute: format and lint, types, the fast tests. */
import { spawn } from 'node:child_process'
import { buffer } from 'node:stream/consumers'

const STEPS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['format and lint', 'biome', 'ci', '--diagnostic-level=warn', '--error-on-warnings', '.'],
  ['types', 'tsc', '--project', '.'],
  ['fast tests', 'node', 'scripts/test.ts', '--fast'],
]

const outcomes = await Promise.all(STEPS.map(runStep))
const failed = outcomes.filter(({ code }) => code !== 0)
for (const { name, output } of failed) console.log(`\n--- ${name} ---\n${output}`)
for (const { name, code, seconds } of outcomes)
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds.toFixed(1)} s)`)
process.exitCode = failed.length > 0 ? 1 : 0

async function runStep([name, command, ...args]: (typeof STEPS)[number]) {
  const begun = performance.now()
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
  const [code, out, err] = await Promise.all([exited, buffer(child.stdout), buffer(child.stderr)])
  return { name, code, output: `${out}${err}`, seconds: (performance.now() - begun) / 1_000 }
}
