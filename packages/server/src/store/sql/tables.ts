// The tables as the query builder sees them; `schema.sql` is the same for people.
/** A versioned record: columns where something filters or sorts, and the whole record as JSON. */
interface RecordTable {
  readonly tenant: string
  /** The order of creation within the tenant. */
  readonly ordinal: number
  readonly version: number
  readonly body: string
}

interface Identified extends RecordTable {
  readonly id: string
}

export interface Tables {
  migrations: { number: number; name: string; checksum: string; applied_at: number }
  tenants: { id: string; issuer: string; created_at: number }
  heads: { tenant: string; size: number; epoch: number; ordinal: number; swept: number; runs: number }
  agents: Identified & { readonly owner: string; readonly status: string; readonly name: string }
  instances: Identified & { readonly agent: string }
  keys: RecordTable & {
    readonly thumbprint: string
    readonly owner: string
    readonly kid: string
    readonly state: string
    readonly expires_at: number | null
  }
  key_uses: { tenant: string; thumbprint: string; last_used_at: number; last_used_from: string | null }
  resources: Identified & { readonly identifier: string }
  grants: Identified & {
    readonly agent: string
    readonly resource: string
    readonly expires_at: number | null
    readonly revoked_at: number | null
    readonly created_at: number
  }
  clients: Identified
  people: Identified & { readonly login_key: string; readonly groups: string }
  issuer_keys: RecordTable & { readonly kid: string }
  rotations: Identified & {
    readonly kind: string
    readonly target: string
    readonly replaces: string
    readonly state: string
    readonly batch: string | null
    readonly due_at: number | null
    readonly ended: number
  }
  schedules: Identified & {
    readonly kind: string
    readonly target: string
    readonly status: string
    readonly next_at: number
  }
  secrets: Identified & { readonly name: string; readonly owner: string }
  secret_versions: Identified & {
    readonly secret: string
    readonly number: number
    readonly state: string
    readonly vault_key: string | null
  }
  secret_leases: Identified & {
    readonly secret: string
    readonly agent: string
    readonly state: string
    readonly due_at: number | null
  }
  vault_keys: Identified & { readonly state: string }
  client_secrets: Identified & { readonly client: string; readonly state: string }
  uses: {
    tenant: string
    subject: string
    caller: string
    first_used_at: number
    last_used_at: number
    last_used_from: string | null
    until: number | null
  }
  tombstones: { tenant: string; kind: string; id: string; ordinal: number }
  replay_marks: { tenant: string; key: string; until: number; marked_at: number }
  one_times: {
    tenant: string
    kind: string
    key: string
    value: string
    expires_at: number
    taken_at: number | null
  }
  answers: {
    tenant: string
    key: string
    request: string
    status: number
    body: string
    until: number
    kept_at: number
  }
  signals: { tenant: string; epoch: number; subject: string; kind: string; at_ms: number }
  entries: {
    tenant: string
    index: number
    id: string
    time_ms: number
    type: string
    agent: string | null
    person: string | null
    request: string
    hash: Uint8Array
    text: string
  }
  runs: { tenant: string; run: number; min_ms: number; max_ms: number }
  terms: { tenant: string; run: number; field: string; value: string; bundle: number }
  tiles: { tenant: string; level: number; index: number; hashes: Uint8Array }
  checkpoints: { tenant: string; size: number; note: string }
  leases: { name: string; holder: string | null; fence: number; until_ms: number }
  policy_sets: Identified & { readonly number: number; readonly state: string }
  halts: Identified & { readonly target: string; readonly lifted: number }
  groups: Identified & { readonly name: string }
  sessions: Identified & { readonly agent: string; readonly instance: string }
  risks: Identified
  eligibilities: Identified & { readonly agent: string; readonly resource: string }
  approvals: Identified & {
    readonly agent: string
    readonly kind: string
    readonly state: string
    readonly due_at: number | null
    readonly unreviewed: number
  }
  budgets: { tenant: string; owner: string; name: string; until: number; body: string }
  usage: {
    tenant: string
    owner: string
    scope: string
    tool: string
    caller: string
    first_at: number
    last_at: number
    count: number
  }
  enforcement_points: {
    tenant: string
    id: string
    label: string
    node: string
    epoch: number
    seen_ms: number
  }
}
