import type { SettingKey } from './settings.ts'

/** Variables of the replaced systems that no longer mean anything, and why. */
export const meaninglessVariables = {
  FLASK_APP: 'Octoflow is no Flask application',
  FLASK_DEBUG: 'Octoflow is no Flask application; use LOGGING_LEVEL=debug to see more',
  JWT_TOKEN_LOCATION: 'a token always comes in the header Authorization',
} as const

/** Variables of the replaced systems whose parts this version does not run yet. */
export const unusedVariables = {
  SECRET_KEY: 'sign sessions',
  DB_TABLE_NAME: 'run Kafka consumers',
  CONSUMER_NAME: 'run Kafka consumers',
  WORKER_NAME: 'run Kafka consumers',
  MESSAGE_TIMEOUT: 'run Kafka consumers',
  JAEGAR_AGENT_HOST_NAME: 'send traces',
  JAEGER_AGENT_HOST_NAME: 'send traces',
  JAEGAR_AGENT_PORT: 'send traces',
  JAEGER_AGENT_PORT: 'send traces',
} as const

/** Variables that give a setting its value only where nothing else does, `octoflow.yml` included. */
export const standIns = [
  {
    key: 'database.url',
    names: ['DB_HOST', 'DB_PORT', 'DB_NAME', 'DB_USER', 'DB_PASS', 'DB_PASSWORD'],
    description:
      'Where DB_HOST is set, a URL is made of these. DB_PASS and DB_PASSWORD are the same. ' +
      'The port tells the kind of database: 3306 is MySQL, 27017 MongoDB, any other PostgreSQL.',
  },
  { key: 'logging.level', names: ['DRUMPLER_DEBUG'], description: 'True means debug.' },
] as const satisfies readonly { key: SettingKey; names: readonly string[]; description: string }[]
