/** The types that are always there, in the form of `maps/event-types.json`. */
export const BUILT_IN = {
  user: {
    description: 'What a user did.',
    schema: {
      type: 'object',
      properties: {
        username: { type: 'string' },
        email: { type: 'string', format: 'email' },
        operation: { type: 'string' },
      },
      required: ['username', 'email', 'operation'],
    },
    example: { username: 'my_user', email: 'my_user@email.com', operation: 'write' },
  },
  system: {
    description: 'What a system did.',
    schema: {
      type: 'object',
      properties: {
        system_id: { type: 'string' },
        location: { enum: ['europe', 'us'] },
        operation: { type: 'string' },
      },
      required: ['system_id', 'location', 'operation'],
    },
    example: { system_id: 'id_123', location: 'europe', operation: 'read' },
  },
} as const
