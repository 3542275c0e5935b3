/**
 * Every error Octoflow answers with. `docs/reference/errors.md` is generated from this table.
 *
 * - `status`: the HTTP status an API answers with.
 * - `retryable`: whether the same call may succeed later without being changed.
 * - `message`: what is wrong and where; `{name}` stands for a detail of the occurrence.
 * - `hint`: how to mend it.
 */
export interface ErrorEntry {
  readonly status: number
  readonly retryable: boolean
  readonly message: string
  readonly hint: string
}

export const catalogue = {
  // What the caller sent
  invalid_json: {
    status: 400,
    retryable: false,
    message: 'The body is not valid JSON: {reason}.',
    hint: 'Send one complete JSON value in UTF-8, or the content type of what the body really is.',
  },
  invalid_body: {
    status: 400,
    retryable: false,
    message: 'The body does not fit: {reason}.',
    hint: 'Compare the body with the schema of this route at /docs.',
  },
  invalid_query: {
    status: 400,
    retryable: false,
    message: 'The query does not fit: {reason}.',
    hint: 'Compare the query parameters with those of this route at /docs.',
  },
  invalid_header: {
    status: 400,
    retryable: false,
    message: 'The header {header} does not fit: {reason}.',
    hint: 'Compare the header with the description of this route at /docs.',
  },
  invalid_cursor: {
    status: 400,
    retryable: false,
    message: 'The cursor does not belong to this list.',
    hint: 'Pass `next` of the page before unchanged, with the same filters, or leave `cursor` out to begin again.',
  },
  skip_too_far: {
    status: 400,
    retryable: false,
    message: 'So many events cannot be stepped over one by one.',
    hint: 'Begin with the first page and pass its `next` as `cursor`, which leads on at any depth.',
  },
  malformed_request: {
    status: 400,
    retryable: false,
    message: 'The HTTP request is malformed: {reason}.',
    hint: 'Send a well-formed HTTP/1.1 request.',
  },
  unauthorized: {
    status: 401,
    retryable: false,
    message: 'No valid credential was sent.',
    hint: 'Send `Authorization: Bearer <key>`. The server printed where its key lies when it first started; `octoflow keys create` makes more.',
  },
  forbidden: {
    status: 403,
    retryable: false,
    message: 'The credential has the role {role}; this needs {needed}.',
    hint: 'Use a key with that role or a higher one; `octoflow keys create --role {needed}` makes one.',
  },
  role_missing: {
    status: 403,
    retryable: false,
    message: 'The token is valid, but it gives none of Octoflow’s roles.',
    hint: 'Give its bearer one of viewer, producer, worker, operator and admin at the issuer, or name the claim that holds the roles in `security.oidcRolesClaim`.',
  },
  queue_out_of_scope: {
    status: 403,
    retryable: false,
    message: 'The credential is limited to other queues than "{queue}".',
    hint: 'Name a queue of the key’s scope, or use a key without a queue scope.',
  },
  request_out_of_scope: {
    status: 403,
    retryable: false,
    message: 'The credential is limited to queues, and the request names none.',
    hint: 'Name a queue of the key’s scope, as `custom_value`, or use a key without a queue scope.',
  },
  log_events_out_of_scope: {
    status: 403,
    retryable: false,
    message: 'The credential is limited to queues, and log events belong to none.',
    hint: 'Use a key without a queue scope.',
  },
  not_found: {
    status: 404,
    retryable: false,
    message: 'Nothing is served at {path}.',
    hint: 'The routes are listed at /docs.',
  },
  request_not_found: {
    status: 404,
    retryable: false,
    message: 'There is no request {id}.',
    hint: 'It was deleted, by hand or by its queue’s retention, or it never existed.',
  },
  job_not_found: {
    status: 404,
    retryable: false,
    message: 'There is no job {id}.',
    hint: 'It was deleted, by hand or by its queue’s retention, or it never existed.',
  },
  dead_letter_not_found: {
    status: 404,
    retryable: false,
    message: 'There is no dead letter {id}.',
    hint: 'A dead letter has its job’s id, and is none any more when the job was run again. `GET /api/v1/dead-letters` lists those that there are.',
  },
  log_event_not_found: {
    status: 404,
    retryable: false,
    message: 'There is no log event "{id}".',
    hint: 'It was deleted, by hand or by the retention of its type, or it never existed.',
  },
  queue_not_found: {
    status: 404,
    retryable: false,
    message: 'There is no queue "{queue}".',
    hint: 'A queue comes to be with its first job or with `PATCH /api/v1/queues/{queue}`.',
  },
  worker_not_found: {
    status: 404,
    retryable: false,
    message: 'No worker "{worker}" has been seen.',
    hint: '`GET /api/v1/workers` lists those that are known.',
  },
  operation_not_found: {
    status: 404,
    retryable: false,
    message: 'There is no operation {id}.',
    hint: '`GET /api/v1/operations` lists them.',
  },
  key_not_found: {
    status: 404,
    retryable: false,
    message: 'There is no API key {id}.',
    hint: '`GET /api/v1/keys` lists them.',
  },
  method_not_allowed: {
    status: 405,
    retryable: false,
    message: '{method} is not served at {path}.',
    hint: 'The header `Allow` names the methods that are.',
  },
  job_finished: {
    status: 409,
    retryable: false,
    message: 'Job {id} is {state} already.',
    hint: 'A finished job keeps its outcome. `POST /api/v1/jobs/{id}/retry` runs it again.',
  },
  job_running: {
    status: 409,
    retryable: true,
    message: 'Job {id} is running.',
    hint: 'Wait for it to finish, or cancel it first.',
  },
  job_must_wait: {
    status: 409,
    retryable: true,
    message: 'Job {id} must wait: as many jobs of its queue or of its concurrency key as may run at once are running.',
    hint: 'Take jobs by asking for them; then the limits are seen to.',
  },
  job_not_finished: {
    status: 409,
    retryable: true,
    message: 'Job {id} is {state}, so it needs no retry.',
    hint: 'Only a completed, cancelled or dead job can be run again. To start a waiting one now, change its `runAt`.',
  },
  unique_key_taken: {
    status: 409,
    retryable: true,
    message: 'Job {holder} holds the unique key "{uniqueKey}" in queue "{queue}".',
    hint: 'Wait until that job has finished, or cancel it.',
  },
  operation_finished: {
    status: 409,
    retryable: false,
    message: 'Operation {id} is {state} already.',
    hint: 'Start another operation to act again.',
  },
  idempotency_key_in_use: {
    status: 409,
    retryable: true,
    message: 'A request with this Idempotency-Key is still being answered.',
    hint: 'Repeat it in a moment to get its answer.',
  },
  idempotency_key_reused: {
    status: 422,
    retryable: false,
    message: 'This Idempotency-Key was used for a different request within the last 24 hours.',
    hint: 'Use a fresh key for every distinct request.',
  },
  idempotency_answer_gone: {
    status: 409,
    retryable: false,
    message: 'The first request with this Idempotency-Key was served, but its answer is shown only once.',
    hint: 'List what it made; if the secret is lost, delete that and make another with a fresh Idempotency-Key.',
  },
  precondition_failed: {
    status: 412,
    retryable: false,
    message: 'The resource has changed since the version named in If-Match.',
    hint: 'Read it again, look at the difference, and repeat the change with the new ETag.',
  },
  body_too_large: {
    status: 413,
    retryable: false,
    message: 'The body is larger than {limit} bytes.',
    hint: 'Send less, or raise `server.bodyLimit` (BODY_LIMIT).',
  },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    message: 'The content type {contentType} is not understood here.',
    hint: 'Send application/json.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    message: 'The request line and headers are larger than 16 KiB.',
    hint: 'Move what is large into the body.',
  },
  request_timeout: {
    status: 408,
    retryable: true,
    message: 'The request did not arrive in full in time.',
    hint: 'Send it without pauses; a client that trickles is cut off.',
  },
  too_many_failures: {
    status: 429,
    retryable: true,
    message: 'Too many requests with an invalid credential came from this address.',
    hint: 'Wait as long as `Retry-After` says, and check the credential.',
  },

  // What a worker reports
  lease_lost: {
    status: 409,
    retryable: false,
    message: 'The lease on job {id} is no longer held.',
    hint: 'The lease ran out or the job was finished by someone else; drop the work on it. Send heartbeats more often than the lease lasts.',
  },

  // The state of the server
  internal: {
    status: 500,
    retryable: true,
    message: 'Something went wrong in the server.',
    hint: 'The server’s log has the details under the request id {requestId}.',
  },
  storage_unavailable: {
    status: 503,
    retryable: true,
    message: 'The database cannot be reached at the moment.',
    hint: 'Repeat the request later; nothing of it was stored. `octoflow doctor` looks for the cause.',
  },
  storage_outcome_unknown: {
    status: 503,
    retryable: true,
    message: 'The connection to the database was lost while it stored this request, so it is not known whether it did.',
    hint: 'Look whether it was stored before repeating it. With an `Idempotency-Key`, and for the reports of a worker, repeating is safe.',
  },
  database_packet_too_large: {
    status: 507,
    retryable: false,
    message: 'The database server does not take so much at once.',
    hint: 'Set max_allowed_packet of the database server to at least twice the largest body that is to be stored.',
  },
  storage_full: {
    status: 507,
    retryable: true,
    message: 'The disk that holds the database is full.',
    hint: 'Free some space; the server goes on by itself. Nothing of this request was stored.',
  },
  storage_read_only: {
    status: 503,
    retryable: true,
    message: 'The database is read-only.',
    hint: 'Make the data directory and the files in it writable for the user that runs the server.',
  },
  storage_corrupt: {
    status: 503,
    retryable: false,
    message: 'The database file is damaged: {reason}.',
    hint: 'Stop the server, keep a copy of the data directory, and restore a backup. `octoflow doctor` shows what is readable.',
  },
  storage_closed: {
    status: 503,
    retryable: true,
    message: 'The server is stopping.',
    hint: 'Repeat the request when it is up again.',
  },
  issuer_unreachable: {
    status: 503,
    retryable: true,
    message: 'The token cannot be checked, because its issuer does not answer.',
    hint: 'Repeat the request later, or use an API key. `security.oidcIssuer` must be an address that the server can reach.',
  },
  overloaded: {
    status: 503,
    retryable: true,
    message: 'The server is overloaded.',
    hint: 'Repeat the request after the time that `Retry-After` gives.',
  },

  // What stops a start
  config_invalid: {
    status: 500,
    retryable: false,
    message: 'The configuration does not fit:\n{problems}',
    hint: 'docs/reference/configuration.md lists every setting; `octoflow config` shows what is in force and where it came from.',
  },
  database_refused: {
    status: 500,
    retryable: false,
    message: 'The database refuses to work for Octoflow: {reason}.',
    hint: 'Compare user, password and database in the database URL with what the database server knows; the user needs the right to create tables in its schema, or collections.',
  },
  database_unreachable: {
    status: 503,
    retryable: true,
    message: 'The database cannot be reached: {url} ({reason}).',
    hint: 'Start the database server, or mend the address in `--database-url`; `octoflow doctor` looks closer. Octoflow does not wait for it: let whatever keeps it running start it again.',
  },
  data_directory_unusable: {
    status: 500,
    retryable: false,
    message: 'The data directory {path} cannot be used: {reason}.',
    hint: 'Make it a directory that the user running the server can write to, or name another with --data.',
  },
  data_directory_in_use: {
    status: 500,
    retryable: false,
    message: 'Another Octoflow server is using {path}.',
    hint: 'Stop that server, or give this one a directory of its own with --data.',
  },
  not_a_database: {
    status: 500,
    retryable: false,
    message: '{path} is not an Octoflow database: {reason}.',
    hint: 'Move that file away or name another; Octoflow never writes to a file it did not make.',
  },
  database_in_use: {
    status: 500,
    retryable: true,
    message: 'A server or another copy is using {database}.',
    hint: 'Stop whatever uses it; what was killed is taken for gone after ten seconds.',
  },
  database_not_empty: {
    status: 500,
    retryable: false,
    message: 'The database to copy into is not empty: it holds {what}.',
    hint: 'Name an empty database, or empty this one first; a copy never mixes with what is there.',
  },
  copy_unfinished: {
    status: 500,
    retryable: false,
    message: 'The database holds half of a copy of {source}.',
    hint: 'Finish the copy with the same `octoflow db copy`, which goes on where it stopped.',
  },
  schema_older: {
    status: 500,
    retryable: false,
    message: 'The schema of {database} has version {found}; this Octoflow works with {needed}.',
    hint: 'Bring it up to date with `octoflow db migrate`, or start a server on it once.',
  },
  schema_newer: {
    status: 500,
    retryable: false,
    message: 'The database has schema version {found}; this Octoflow knows up to {known}.',
    hint: 'Start the Octoflow version that wrote it, or a newer one.',
  },
  address_in_use: {
    status: 500,
    retryable: false,
    message: 'Port {port} on {host} is taken by another program.',
    hint: 'Stop that program, or choose another port with --port; --port 0 picks a free one.',
  },
  address_unusable: {
    status: 500,
    retryable: false,
    message: 'Cannot listen on {host}:{port}: {reason}.',
    hint: 'Name an address of this machine with --host, and a port above 1023 unless you are root.',
  },
  event_types_invalid: {
    status: 500,
    retryable: false,
    message: 'The types of log events in {path} cannot be used: {reason}.',
    hint: 'The file has a member for each type, an object with its `schema` and, where you like, `retentionDays`.',
  },
  handler_invalid: {
    status: 500,
    retryable: false,
    message: 'The handler file {file} cannot be used: {reason}.',
    hint: 'A handler file is TypeScript or JavaScript and exports a function named `process`.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof catalogue
