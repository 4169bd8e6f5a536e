// RFC 6750 §3.1 from outside: the code alone decides the status a resource answers with.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes } from '@writ/sdk/protocol/fault'
import { verifies } from './verifies.ts'

test('a malformed request to a resource is a 400', () => {
  verifies('RFC6750-3.1-1')
  assert.equal(codes.invalid_request.status, 400)
})

test('an unacceptable token is a 401', () => {
  verifies('RFC6750-3.1-2')
  assert.equal(codes.invalid_token.status, 401)
})

test('a token that lacks a scope is a 403', () => {
  verifies('RFC6750-3.1-3')
  assert.equal(codes.insufficient_scope.status, 403)
})
