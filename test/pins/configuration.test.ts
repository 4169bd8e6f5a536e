// Pin: the configuration keys by the names operators set them with. Fewer than sixty, each with a reason.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const pinned = [
  'WRIT_HOST',
  'WRIT_PORT',
  'WRIT_DATA',
  'WRIT_ISSUER',
  'WRIT_SEALER',
  'WRIT_DATABASE_URL',
  'WRIT_LOG_LEVEL',
  'WRIT_RATE_LIMITS',
  'WRIT_RATE_PER_SECOND',
  'WRIT_TRUSTED_PROXIES',
  'WRIT_MAX_BODY_BYTES',
  'WRIT_ACCESS_TOKEN_SECONDS',
  'WRIT_ASSERTION_SECONDS',
  'WRIT_CLOCK_SKEW_SECONDS',
  'WRIT_DPOP_NONCE',
  'WRIT_DPOP_PROOF_SECONDS',
  'WRIT_ENROLLMENT_SECONDS',
  'WRIT_AGENT_KEY_SECONDS',
  'WRIT_DRAIN_SECONDS',
  'WRIT_DRAIN_LIMIT_SECONDS',
  'WRIT_ROTATION_SPREAD_SECONDS',
  'WRIT_ISSUER_KEY_SECONDS',
  'WRIT_ISSUER_KEY_PUBLISH_SECONDS',
  'WRIT_JWKS_CACHE_SECONDS',
  'WRIT_REVOCATION_HEARTBEAT_SECONDS',
  'WRIT_STALENESS_SECONDS',
  'WRIT_CHECKPOINT_SECONDS',
  'WRIT_NOISE_SECONDS',
  'WRIT_TLS_CERT',
  'WRIT_TLS_KEY',
  'WRIT_TLS_SELF_SIGNED',
  'WRIT_SHUTDOWN_SECONDS',
]

test('the configuration keys are those it had before, and few', () => {
  const page = readFileSync(`${import.meta.dirname}/../../docs/configuration.md`, 'utf8')
  const keys = [...page.matchAll(/^\| `\w+` \| `(WRIT_\w+)` \|/gm)].map(match => match[1])
  assert.deepEqual(keys, pinned)
  assert.ok(keys.length < 60)
})
