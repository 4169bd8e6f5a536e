// The one error class and the one table of error codes; the code decides the status, nobody else does.

/** A row of the table: the HTTP status, a title for people, the specification that registers the code. */
export interface CodeInfo {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 410 | 413 | 415 | 422 | 429 | 431 | 500 | 503
  readonly title: string
  readonly spec: string
  /** RFC 9457 `type` where a specification registers one; else it is made of the issuer and the code. */
  readonly type?: string
}

const accessRequestError = 'urn:openid:authzen:access-request:error:'

export const codes = {
  // OAuth token, introspection and revocation endpoints
  invalid_request: { status: 400, title: 'The request is malformed', spec: 'RFC 6749 §5.2' },
  invalid_client: { status: 401, title: 'The client could not be authenticated', spec: 'RFC 6749 §5.2' },
  invalid_grant: { status: 400, title: 'The grant is not valid', spec: 'RFC 6749 §5.2' },
  unauthorized_client: { status: 400, title: 'The client may not use this grant', spec: 'RFC 6749 §5.2' },
  unsupported_grant_type: { status: 400, title: 'The grant type is not supported', spec: 'RFC 6749 §5.2' },
  invalid_scope: { status: 400, title: 'The scope is unknown or not granted', spec: 'RFC 6749 §5.2' },
  invalid_target: { status: 400, title: 'The resource is unknown or not acceptable', spec: 'RFC 8707 §2' },
  invalid_authorization_details: {
    status: 400,
    title: 'The authorization details are not valid',
    spec: 'RFC 9396 §5',
  },
  invalid_dpop_proof: { status: 400, title: 'The DPoP proof is not valid', spec: 'RFC 9449 §12.2' },
  use_dpop_nonce: { status: 400, title: 'The DPoP proof needs a nonce of this server', spec: 'RFC 9449 §8' },
  unsupported_token_type: { status: 400, title: 'The token type is not supported', spec: 'RFC 7009 §2.2.1' },
  invalid_client_metadata: {
    status: 400,
    title: 'The metadata of the client are not acceptable',
    spec: 'RFC 7591 §3.2.2',
  },
  invalid_redirect_uri: {
    status: 400,
    title: 'A redirect URI of the client is not acceptable',
    spec: 'RFC 7591 §3.2.2',
  },
  temporarily_unavailable: {
    status: 503,
    title: 'The server cannot decide now; try again',
    spec: 'RFC 6749 §4.1.2.1',
  },
  server_error: { status: 500, title: 'The server failed', spec: 'RFC 6749 §4.1.2.1' },

  // Protected resources
  invalid_token: { status: 401, title: 'The access token is not valid', spec: 'RFC 6750 §3.1' },
  insufficient_scope: { status: 403, title: 'The access token lacks a scope', spec: 'RFC 6750 §3.1' },

  // Management API and the rest of ours
  access_denied: { status: 403, title: 'This is not allowed', spec: 'RFC 6749 §4.1.2.1' },
  invalid_key: { status: 422, title: 'The key is not acceptable', spec: 'ours' },
  invalid_value: { status: 422, title: 'A member has an unacceptable value', spec: 'ours' },
  unsupported_member: { status: 422, title: 'A member is known but has no force here yet', spec: 'ours' },
  not_found: { status: 404, title: 'There is no such thing here', spec: 'RFC 9110 §15.5.5' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here', spec: 'RFC 9110 §15.5.6' },
  conflict: {
    status: 409,
    title: 'The state does not allow this, or changed meanwhile',
    spec: 'RFC 9110 §15.5.10',
  },
  request_too_large: { status: 413, title: 'The request is too large', spec: 'RFC 9110 §15.5.14' },
  unsupported_media_type: {
    status: 415,
    title: 'The media type is not supported',
    spec: 'RFC 9110 §15.5.16',
  },
  header_too_large: { status: 431, title: 'The request headers are too large', spec: 'RFC 6585 §5' },
  rate_limited: { status: 429, title: 'Too many requests', spec: 'RFC 6585 §4' },
  invalid_enrollment: {
    status: 400,
    title: 'The enrolment token is unknown, spent or expired',
    spec: 'ours',
  },

  // Access requests
  not_requestable: {
    status: 400,
    title: 'The denial cannot be requested',
    spec: 'AuthZEN ARAP',
    type: `${accessRequestError}not_requestable`,
  },
  expired_denial: {
    status: 410,
    title: 'The denial is too old to be requested',
    spec: 'AuthZEN ARAP',
    type: `${accessRequestError}expired_denial`,
  },
  invalid_denial_binding: {
    status: 400,
    title: 'The request does not belong to the denial',
    spec: 'AuthZEN ARAP',
    type: `${accessRequestError}invalid_denial_binding`,
  },
  duplicate_request: {
    status: 409,
    title: 'The Idempotency-Key was used for another request',
    spec: 'AuthZEN ARAP',
    type: `${accessRequestError}duplicate_request`,
  },
  unknown_task: {
    status: 404,
    title: 'There is no such task',
    spec: 'AuthZEN ARAP',
    type: `${accessRequestError}unknown_task`,
  },
  task_expired: {
    status: 410,
    title: 'The task is over and no longer shown',
    spec: 'AuthZEN ARAP',
    type: `${accessRequestError}task_expired`,
  },
  invalid_task_state: {
    status: 409,
    title: 'The state of the task does not allow this',
    spec: 'AuthZEN ARAP',
    type: `${accessRequestError}invalid_task_state`,
  },
} as const satisfies Record<string, CodeInfo>

export type Code = keyof typeof codes

/**
 * What really happened, for the log and the operator only: a tag and data. Never a secret, never a token.
 */
export interface Reason {
  readonly kind: string
  readonly [fact: string]: unknown
}

const brand = Symbol.for('writ.fault')

/**
 * A refusal or failure that has a name. `say` may reach the caller; `why` reaches only the log and the audit trail.
 */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: Code
  readonly why: Reason | undefined
  readonly [brand] = true

  constructor(code: Code, say: string, why?: Reason, options?: ErrorOptions) {
    super(say, options)
    this.code = code
    this.why = why
  }
}

/** Tells a Fault from any other error, also across two installed copies of this package. */
export function isFault(error: unknown): error is Fault {
  return typeof error === 'object' && error !== null && brand in error
}
