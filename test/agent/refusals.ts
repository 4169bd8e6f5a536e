// What a test expects of an error.
import assert from 'node:assert/strict'
import { type Code, isFault } from '@writ/sdk/protocol/fault'

/** For `assert.rejects`: a Fault with this code, and this tag where one is given. */
export const fault =
  (code: Code, kind?: string) =>
  (error: unknown): true => {
    assert.ok(isFault(error), String(error))
    assert.equal(error.code, code, error.message)
    if (kind !== undefined) assert.equal(error.why?.kind, kind)
    return true
  }
