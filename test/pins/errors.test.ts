// Pin: every error code and its status. Clients act on both: a change is a decision that a fragment explains.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes } from '@writ/sdk/protocol/fault'

const pinned = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  invalid_authorization_details: 400,
  invalid_dpop_proof: 400,
  use_dpop_nonce: 400,
  unsupported_token_type: 400,
  invalid_client_metadata: 400,
  invalid_redirect_uri: 400,
  temporarily_unavailable: 503,
  server_error: 500,
  invalid_token: 401,
  insufficient_scope: 403,
  access_denied: 403,
  invalid_key: 422,
  invalid_value: 422,
  unsupported_member: 422,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  request_too_large: 413,
  unsupported_media_type: 415,
  header_too_large: 431,
  rate_limited: 429,
  invalid_enrollment: 400,
  not_requestable: 400,
  expired_denial: 410,
  invalid_denial_binding: 400,
  duplicate_request: 409,
  unknown_task: 404,
  task_expired: 410,
  invalid_task_state: 409,
}

test('every error code has the status it had before', () => {
  assert.deepEqual(
    Object.fromEntries(Object.entries(codes).map(([code, { status }]) => [code, status])),
    pinned,
  )
})
