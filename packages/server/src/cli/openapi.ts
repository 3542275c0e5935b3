import type { Command } from 'commander'
import { compile } from '../config/compile.ts'
import { settle } from '../config/settle.ts'
import { VERSION } from '../version.ts'
import { addExamples } from './options.ts'
import type { Session } from './session.ts'

export function openapiCommand(command: Command, session: Session): void {
  command
    .description('Print the OpenAPI document of the server’s APIs, without a running server.')
    .option('--json', 'understood, and implied')
  addExamples(command, [['octoflow openapi > openapi.json', 'for a client generator']])
  command.action(async () => session.out.jsonText(JSON.stringify(await openApiDocument(session.host.cwd), null, 2)))
}

/** Built over the defaults and an empty database in memory, so that it is the same wherever it is made. */
export async function openApiDocument(cwd: string): Promise<object> {
  const [{ compose }, { pino }] = await Promise.all([import('../compose.ts'), import('pino')])
  const inMemory = { key: 'database.url', name: '', source: '', raw: 'sqlite::memory:' } as const
  const config = compile(settle([[inMemory]]).values, cwd)
  const server = await compose(config, { logger: pino({ level: 'silent' }), version: VERSION, keys: [] })
  try {
    return await server.openApi()
  } finally {
    await server.stop()
  }
}
