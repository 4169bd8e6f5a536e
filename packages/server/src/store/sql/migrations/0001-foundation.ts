// Migration 1: the whole first schema. Released: never edited again, a later number changes it.
import type { Words } from '../dialect.ts'

export const name = 'foundation'

const record = ({ text, int }: Words, key = 'id') => `tenant ${text} not null references tenants (id),
  ${key} ${text} not null,
  ordinal ${int} not null,
  version ${int} not null,
  body ${text} not null`

export const up = (words: Words): readonly string[] => [
  ...tenants(words),
  ...agents(words),
  ...registry(words),
  ...once(words),
  ...signals(words),
  ...log(words),
]

const tenants = (w: Words): readonly string[] => [
  `create table tenants (
  id ${w.text} primary key not null,
  issuer ${w.text} not null unique,
  created_at ${w.int} not null
)${w.table}`,
  // One row a tenant, locked by every commit: it makes indexes and epochs contiguous and commits one after the other.
  `create table heads (
  tenant ${w.text} primary key not null references tenants (id),
  size ${w.int} not null,
  epoch ${w.int} not null,
  ordinal ${w.int} not null,
  swept ${w.int} not null,
  runs ${w.int} not null
)${w.table}`,
]

const agents = (w: Words): readonly string[] => [
  `create table agents (
  ${record(w)},
  owner ${w.text} not null,
  status ${w.text} not null,
  name ${w.text} not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
)${w.table}`,
  'create index agents_by_owner on agents (tenant, owner, ordinal)',
  'create index agents_by_name on agents (tenant, name, ordinal)',
  'create index agents_by_status on agents (tenant, status, ordinal)',
  `create table instances (
  ${record(w)},
  agent ${w.text} not null,
  primary key (tenant, id)
)${w.table}`,
  'create index instances_by_agent on instances (tenant, agent, ordinal)',
  `create table keys (
  ${record(w, 'thumbprint')},
  owner ${w.text} not null,
  kid ${w.text} not null,
  state ${w.text} not null,
  expires_at ${w.int},
  primary key (tenant, thumbprint),
  unique (tenant, owner, kid)
)${w.table}`,
  `create index keys_by_end on keys (tenant, expires_at) where state = 'retiring'`,
  `create table key_uses (
  tenant ${w.text} not null,
  thumbprint ${w.text} not null,
  last_used_at ${w.int} not null,
  last_used_from ${w.text},
  primary key (tenant, thumbprint)
)${w.keyed}`,
]

const registry = (w: Words): readonly string[] => [
  `create table resources (
  ${record(w)},
  identifier ${w.text} not null,
  primary key (tenant, id),
  unique (tenant, ordinal),
  unique (tenant, identifier)
)${w.table}`,
  `create table grants (
  ${record(w)},
  agent ${w.text} not null,
  resource ${w.text} not null,
  expires_at ${w.int},
  revoked_at ${w.int},
  primary key (tenant, id),
  unique (tenant, ordinal)
)${w.table}`,
  'create index grants_by_agent on grants (tenant, agent, ordinal)',
  'create index grants_by_resource on grants (tenant, resource, ordinal)',
  `create table clients (
  ${record(w)},
  primary key (tenant, id),
  unique (tenant, ordinal)
)${w.table}`,
  `create table people (
  ${record(w)},
  login_key ${w.text} not null,
  primary key (tenant, id),
  unique (tenant, ordinal),
  unique (tenant, login_key)
)${w.table}`,
  `create table issuer_keys (
  ${record(w, 'kid')},
  primary key (tenant, kid)
)${w.table}`,
  // What was removed: its id is never given again, and a page that ended at it can go on.
  `create table tombstones (
  tenant ${w.text} not null,
  kind ${w.text} not null,
  id ${w.text} not null,
  ordinal ${w.int} not null,
  primary key (tenant, kind, id)
)${w.keyed}`,
]

const once = (w: Words): readonly string[] => [
  `create table replay_marks (
  tenant ${w.text} not null,
  key ${w.text} not null,
  until ${w.int} not null,
  marked_at ${w.int} not null,
  primary key (${w.markKey})
)${w.keyed}`,
  ...w.markIndexes,
  `create table one_times (
  tenant ${w.text} not null,
  kind ${w.text} not null,
  key ${w.text} not null,
  value ${w.text} not null,
  expires_at ${w.int} not null,
  taken_at ${w.int},
  primary key (tenant, kind, key)
)${w.table}`,
  'create index one_times_by_expiry on one_times (expires_at)',
  `create table answers (
  tenant ${w.text} not null,
  key ${w.text} not null,
  request ${w.text} not null,
  status ${w.int} not null,
  body ${w.text} not null,
  until ${w.int} not null,
  kept_at ${w.int} not null,
  primary key (tenant, key)
)${w.table}`,
  'create index answers_by_until on answers (until)',
]

const signals = (w: Words): readonly string[] => [
  `create table signals (
  tenant ${w.text} not null,
  epoch ${w.int} not null,
  subject ${w.text} not null,
  kind ${w.text} not null check (kind in ('narrowed', 'changed')),
  at_ms ${w.int} not null,
  primary key (tenant, epoch)
)${w.table}`,
  'create index signals_by_subject on signals (tenant, subject, epoch)',
  'create index signals_by_time on signals (tenant, at_ms)',
  `create table leases (
  name ${w.text} primary key not null,
  holder ${w.text},
  fence ${w.int} not null,
  until_ms ${w.int} not null
)${w.table}`,
]

const log = (w: Words): readonly string[] => [
  // Only ever appended to, and read by one key: an index here would cost each commit more than the entry itself.
  `create table entries (
  tenant ${w.text} not null,
  "index" ${w.int} not null,
  id ${w.text} not null,
  time_ms ${w.int} not null,
  type ${w.text} not null,
  agent ${w.text},
  person ${w.text},
  request ${w.text} not null,
  hash ${w.bytes} not null check (length(hash) = 32),
  text ${w.text} not null,
  primary key (tenant, "index")
)${w.table}`,
  // What stands in each complete run of entries, written at once and in order when the run is complete.
  `create table runs (
  tenant ${w.text} not null,
  run ${w.int} not null,
  min_ms ${w.int} not null,
  max_ms ${w.int} not null,
  primary key (tenant, run)
)${w.keyed}`,
  `create table terms (
  tenant ${w.text} not null,
  run ${w.int} not null,
  field ${w.text} not null,
  value ${w.text} not null,
  bundle ${w.int} not null,
  primary key (tenant, run, field, value, bundle)
)${w.keyed}`,
  `create table tiles (
  tenant ${w.text} not null,
  level ${w.int} not null,
  "index" ${w.int} not null,
  hashes ${w.bytes} not null,
  primary key (tenant, level, "index")
)${w.table}`,
  `create table checkpoints (
  tenant ${w.text} primary key not null,
  size ${w.int} not null,
  note ${w.text} not null
)${w.table}`,
]
