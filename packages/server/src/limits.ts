// The numbers we publish: sizes, lifetimes and bounds that clients may rely on (`limits` of the discovery document).
import type { Config } from './config.ts'

/** The longest a token of ours can live: what a verifier has to remember, and how long a retiring key is kept. */
export const maxTokenSeconds = 900

/** After an acknowledged revocation, no connected part of ours accepts the token later than this. */
const revocationBoundSeconds = 2

export interface Limits {
  readonly maxBodyBytes: number
  readonly maxHeaderBytes: number
  readonly maxTokenBytes: number
  readonly maxJsonDepth: number
  readonly maxScopes: number
  readonly maxPage: number
  readonly delegationDepth: number
  /** Evaluations of one AuthZEN request. */
  readonly maxEvaluations: number
  /** Tools that are halted at once: whoever enforces is told all of them. */
  readonly maxHaltedTools: number
}

export const fixedLimits: Omit<Limits, 'maxBodyBytes'> = {
  maxHeaderBytes: 16_384,
  maxTokenBytes: 8_192,
  maxJsonDepth: 16,
  maxScopes: 100,
  maxPage: 200,
  // Tokens are obtained by agents for themselves; chains come with token exchange.
  delegationDepth: 0,
  maxEvaluations: 100,
  maxHaltedTools: 1000,
}

/** The `limits` document. */
export function limitsDocument(config: Config): Readonly<Record<string, number>> {
  return {
    max_body_bytes: config.maxBodyBytes,
    max_header_bytes: fixedLimits.maxHeaderBytes,
    max_token_bytes: fixedLimits.maxTokenBytes,
    max_json_depth: fixedLimits.maxJsonDepth,
    max_scopes: fixedLimits.maxScopes,
    max_page: fixedLimits.maxPage,
    delegation_depth: fixedLimits.delegationDepth,
    max_evaluations: fixedLimits.maxEvaluations,
    max_halted_tools: fixedLimits.maxHaltedTools,
    access_token_seconds: config.accessTokenSeconds,
    max_access_token_seconds: maxTokenSeconds,
    client_assertion_seconds: config.assertionSeconds,
    dpop_proof_seconds: config.dpopProofSeconds,
    clock_skew_seconds: config.clockSkewSeconds,
    enrollment_seconds: config.enrollmentSeconds,
    agent_key_seconds: config.agentKeySeconds,
    drain_seconds: config.drainSeconds,
    drain_limit_seconds: config.drainLimitSeconds,
    rotation_spread_seconds: config.rotationSpreadSeconds,
    issuer_key_publish_seconds: config.issuerKeyPublishSeconds,
    jwks_cache_seconds: config.jwksCacheSeconds,
    requests_per_second: config.ratePerSecond,
    revocation_bound_seconds: revocationBoundSeconds,
    staleness_seconds: config.stalenessSeconds,
    heartbeat_seconds: config.revocationHeartbeatSeconds,
    checkpoint_seconds: config.checkpointSeconds,
    entry_readable_seconds: 2,
  }
}
