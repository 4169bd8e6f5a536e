// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /issuer take and answer.

interface IssuerKey {
  readonly kid: string
  readonly alg: string
  readonly state: 'staged' | 'active' | 'retiring' | 'retired'
  readonly state_at: string
  readonly created_at: string
  /** When a staged key begins to sign */
  readonly activates_at: string
  /** When the last token it signed has expired */
  readonly retires_at: string | null
  readonly jwk: Readonly<Record<string, unknown>> | null
}

export interface IssuerOperations {
  /** List the keys that sign tokens, with their states and instants, oldest first. */
  'issuer-keys.list': {
    readonly input: object
    readonly answer: {
      readonly items: readonly IssuerKey[]
      readonly next: string | null
    }
  }
  /** Stage a successor: published at once, signing after the publication time, its predecessor retired then. */
  'issuer-keys.rotate': { readonly input: object; readonly answer: IssuerKey }
}
