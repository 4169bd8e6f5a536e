// Migration 2: rotations, their schedules, the vault, and secrets of clients.
import type { Words } from '../dialect.ts'

export const name = 'rotation-and-vault'

const record = ({ text, int }: Words) => `tenant ${text} not null references tenants (id),
  id ${text} not null,
  ordinal ${int} not null,
  version ${int} not null,
  body ${text} not null`

const keyed = `primary key (tenant, id),
  unique (tenant, ordinal)`

export const up = (w: Words): readonly string[] => [...keys, ...rotation(w), ...vault(w), ...uses(w)]

// What a decision reads of an owner with thousands of former keys.
const keys: readonly string[] = [
  `create index keys_alive on keys (tenant, owner, expires_at) where state in ('staged', 'active', 'retiring')`,
]

const rotation = (w: Words): readonly string[] => [
  `create table rotations (
  ${record(w)},
  kind ${w.text} not null,
  target ${w.text} not null,
  replaces ${w.text} not null,
  state ${w.text} not null,
  batch ${w.text},
  due_at ${w.int},
  ended ${w.int} not null,
  ${keyed}
)${w.table}`,
  // One version has one successor, whatever races: an open rotation per version that is replaced.
  'create unique index rotations_open on rotations (tenant, kind, target, replaces) where ended = 0',
  'create index rotations_by_due on rotations (tenant, due_at) where ended = 0',
  'create index rotations_by_target on rotations (tenant, target, ordinal)',
  'create index rotations_by_batch on rotations (tenant, batch, ordinal) where batch is not null',
  `create table schedules (
  ${record(w)},
  kind ${w.text} not null,
  target ${w.text} not null,
  status ${w.text} not null,
  next_at ${w.int} not null,
  ${keyed},
  unique (tenant, kind, target)
)${w.table}`,
  `create index schedules_by_due on schedules (tenant, next_at) where status = 'active'`,
]

const vault = (w: Words): readonly string[] => [
  `create table secrets (
  ${record(w)},
  name ${w.text} not null,
  owner ${w.text} not null,
  ${keyed},
  unique (tenant, name)
)${w.table}`,
  'create index secrets_by_owner on secrets (tenant, owner, ordinal)',
  `create table secret_versions (
  ${record(w)},
  secret ${w.text} not null,
  number ${w.int} not null,
  state ${w.text} not null,
  vault_key ${w.text},
  primary key (tenant, id),
  unique (tenant, secret, number)
)${w.table}`,
  'create index secret_versions_by_key on secret_versions (tenant, vault_key) where vault_key is not null',
  `create table secret_leases (
  ${record(w)},
  secret ${w.text} not null,
  agent ${w.text} not null,
  state ${w.text} not null,
  due_at ${w.int},
  ${keyed}
)${w.table}`,
  'create index secret_leases_by_due on secret_leases (tenant, due_at) where due_at is not null',
  `create index secret_leases_by_agent on secret_leases (tenant, agent) where state <> 'ended'`,
  `create index secret_leases_by_secret on secret_leases (tenant, secret) where state <> 'ended'`,
  `create table vault_keys (
  ${record(w)},
  state ${w.text} not null,
  ${keyed}
)${w.table}`,
  `create unique index vault_keys_active on vault_keys (tenant) where state = 'active'`,
  `create table client_secrets (
  ${record(w)},
  client ${w.text} not null,
  state ${w.text} not null,
  ${keyed}
)${w.table}`,
  'create index client_secrets_by_client on client_secrets (tenant, client, ordinal)',
]

const uses = (w: Words): readonly string[] => [
  `create table uses (
  tenant ${w.text} not null,
  subject ${w.text} not null,
  caller ${w.text} not null,
  first_used_at ${w.int} not null,
  last_used_at ${w.int} not null,
  last_used_from ${w.text},
  until ${w.int},
  primary key (tenant, subject, caller)
)${w.keyed}`,
]
