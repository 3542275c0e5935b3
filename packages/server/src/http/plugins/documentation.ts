import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { HttpContext, HttpOptions } from '../context.ts'
import { errorPage } from './error-page.ts'

/** Where the page lies. */
export const DOCUMENTATION = '/docs'

/** The OpenAPI document, the page that shows it, and the page of all errors. To be registered before the routes. */
export const documentation = fp(
  async (app: FastifyInstance, { context, options }: { context: HttpContext; options: HttpOptions }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Octoflow',
          version: context.version,
          description: 'Takes work in, runs it, and keeps what happened.',
          license: { name: 'MIT', identifier: 'MIT' },
        },
        // Relative to the address that the document was read from, which is the one that reaches the server.
        servers: [{ url: '/', description: 'The server that gave this document.' }],
        tags: TAGS,
        components: { securitySchemes: securitySchemes(options) as never },
        security: [{ bearer: [] }, { apiKey: [] }],
      },
      hideUntagged: true,
      transform: ({ schema, url, route }) => {
        const access = route.config?.access
        if (schema === undefined || schema === null || access === undefined) return { schema, url }
        if (access === 'public') return { schema: { ...schema, security: [] }, url }
        return { schema: { ...schema, description: describe(schema.description, access) }, url }
      },
    })

    app.get('/openapi.json', { config: { access: 'public' } }, (_request, reply) => reply.send(app.swagger()))
    // Where the `type` of every problem leads.
    app.get(`${DOCUMENTATION}/errors`, { config: { access: 'public' } }, (_request, reply) =>
      reply.type('text/html; charset=utf-8').header('content-security-policy', ERROR_PAGE_POLICY).send(errorPage()),
    )
    await app.register(swaggerUi, {
      routePrefix: DOCUMENTATION,
      uiConfig: { persistAuthorization: true, docExpansion: 'list' },
    })
    // Where the documentation page used to be.
    for (const url of ['/api/docs', '/api/docs/']) {
      app.get(url, { config: { access: 'public' } }, (_request, reply) => reply.redirect('/docs/'))
    }
  },
)

/** It shows text and nothing else. */
const ERROR_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

const describe = (description: string | undefined, role: string): string =>
  `${description === undefined ? '' : `${description}\n\n`}Needs the role \`${role}\`.`

const TAGS = [
  { name: 'capture', description: 'Record requests and make jobs of them; for clients and workers of Drumpler and Mammoth.' },
  { name: 'jobs', description: 'Submit jobs, look at them and steer them.' },
  { name: 'work', description: 'The worker protocol: claim, heartbeat, report.' },
  { name: 'queues', description: 'Queues, their limits and who serves them.' },
  { name: 'requests', description: 'What came in, as it came.' },
  { name: 'dead letters', description: 'Jobs that ended badly, and running them again.' },
  { name: 'operations', description: 'Act on all jobs that match a filter.' },
  { name: 'keys', description: 'API keys.' },
  { name: 'watching', description: 'Figures, what needs a look, live updates.' },
  {
    name: 'log events',
    description: 'Store events that other systems log, and read them; for clients of the logging application.',
  },
  { name: 'health', description: 'Whether the server lives and works.' },
]

function securitySchemes({ oauth }: HttpOptions): object {
  return {
    bearer: { type: 'http', scheme: 'bearer', description: 'A static key, an API key, or a token of the configured issuer.' },
    apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
    ...(oauth !== null && {
      oauth2: {
        type: 'oauth2',
        flows: { authorizationCode: { authorizationUrl: oauth.authorizationUrl, tokenUrl: oauth.tokenUrl, scopes: {} } },
      },
    }),
  }
}
