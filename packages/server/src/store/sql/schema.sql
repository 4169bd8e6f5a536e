-- The whole schema as it stands on SQLite after the last migration; a test holds it to the sum of the migrations.
-- PostgreSQL has the same tables with text collate "C", bigint and bytea.

-- What has been applied, with the hash of its statements; row 0 is there to be locked while migrating.
create table migrations (
  number integer primary key not null,
  name text not null,
  checksum text not null,
  applied_at integer not null
) strict;

-- Tenants: each is an issuer.
create table tenants (
  id text primary key not null,
  issuer text not null unique,
  created_at integer not null
) strict;

-- The head of each tenant: entries so far, epoch of the last signal, last order of creation, epoch up to which signals
-- were swept, runs of entries that are written down. Every commit locks it, so indexes and epochs have no gaps.
create table heads (
  tenant text primary key not null references tenants (id),
  size integer not null,
  epoch integer not null,
  ordinal integer not null,
  swept integer not null,
  runs integer not null
) strict;

-- Versioned records: columns where something filters or sorts, the whole record as JSON in body. Agents first, with
-- their running instances and their keys.
create table agents (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  owner text not null,
  status text not null,
  name text not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create index agents_by_owner on agents (tenant, owner, ordinal);
create index agents_by_name on agents (tenant, name, ordinal);
create index agents_by_status on agents (tenant, status, ordinal);

create table instances (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  agent text not null,
  primary key (tenant, id)
) strict;
create index instances_by_agent on instances (tenant, agent, ordinal);

create table keys (
  tenant text not null references tenants (id),
  thumbprint text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  owner text not null,
  kid text not null,
  state text not null,
  expires_at integer,
  primary key (tenant, thumbprint),
  unique (tenant, owner, kid)
) strict;
create index keys_by_end on keys (tenant, expires_at) where state = 'retiring';
create index keys_alive on keys (tenant, owner, expires_at) where state in ('staged', 'active', 'retiring');

-- Last use of a key, apart from the key: it changes often, the key rarely.
create table key_uses (
  tenant text not null,
  thumbprint text not null,
  last_used_at integer not null,
  last_used_from text,
  primary key (tenant, thumbprint)
) strict, without rowid;

-- The rest of the registry.
create table resources (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  identifier text not null,
  primary key (tenant, id),
  unique (tenant, ordinal),
  unique (tenant, identifier)
) strict;

create table grants (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  agent text not null,
  resource text not null,
  expires_at integer,
  revoked_at integer,
  created_at integer not null default 0,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create index grants_by_agent on grants (tenant, agent, ordinal);
create index grants_by_resource on grants (tenant, resource, ordinal);

create table clients (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;

create table people (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  login_key text not null,
  groups text not null default '  ',
  primary key (tenant, id),
  unique (tenant, ordinal),
  unique (tenant, login_key)
) strict;

-- Signing keys of the issuer; the private halves are sealed.
create table issuer_keys (
  tenant text not null references tenants (id),
  kid text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  primary key (tenant, kid)
) strict;

-- What was removed: its id is never given again, and a page that ended at it can go on.
create table tombstones (
  tenant text not null,
  kind text not null,
  id text not null,
  ordinal integer not null,
  primary key (tenant, kind, id)
) strict, without rowid;

-- Replay marks. SQLite decides in memory and keeps them in the order of their end; PostgreSQL has (tenant, key) as
-- primary key here, an index on until, and decides in the table.
create table replay_marks (
  tenant text not null,
  key text not null,
  until integer not null,
  marked_at integer not null,
  primary key (until, tenant, key)
) strict, without rowid;

-- Artefacts to take once.
create table one_times (
  tenant text not null,
  kind text not null,
  key text not null,
  value text not null,
  expires_at integer not null,
  taken_at integer,
  primary key (tenant, kind, key)
) strict;
create index one_times_by_expiry on one_times (expires_at);

-- Answers kept for a repeated Idempotency-Key.
create table answers (
  tenant text not null,
  key text not null,
  request text not null,
  status integer not null,
  body text not null,
  until integer not null,
  kept_at integer not null,
  primary key (tenant, key)
) strict;
create index answers_by_until on answers (until);

-- What narrowed or changed, by epoch.
create table signals (
  tenant text not null,
  epoch integer not null,
  subject text not null,
  kind text not null check (kind in ('narrowed', 'changed')),
  at_ms integer not null,
  primary key (tenant, epoch)
) strict;
create index signals_by_subject on signals (tenant, subject, epoch);
create index signals_by_time on signals (tenant, at_ms);

-- Leases of background loops; they belong to the program, not to a tenant.
create table leases (
  name text primary key not null,
  holder text,
  fence integer not null,
  until_ms integer not null
) strict;

-- The audit log. Only ever appended to, and read by one key; what it is found by stands in runs and terms.
create table entries (
  tenant text not null,
  "index" integer not null,
  id text not null,
  time_ms integer not null,
  type text not null,
  agent text,
  person text,
  request text not null,
  hash blob not null check (length(hash) = 32),
  text text not null,
  primary key (tenant, "index")
) strict;

-- Each complete run of 4096 entries: its times, and in which bundles of 256 a value occurs.
create table runs (
  tenant text not null,
  run integer not null,
  min_ms integer not null,
  max_ms integer not null,
  primary key (tenant, run)
) strict, without rowid;

create table terms (
  tenant text not null,
  run integer not null,
  field text not null,
  value text not null,
  bundle integer not null,
  primary key (tenant, run, field, value, bundle)
) strict, without rowid;

-- Full hash tiles, and the newest checkpoint.
create table tiles (
  tenant text not null,
  level integer not null,
  "index" integer not null,
  hashes blob not null,
  primary key (tenant, level, "index")
) strict;

create table checkpoints (
  tenant text primary key not null,
  size integer not null,
  note text not null
) strict;

-- Rotations of every kind of key, and when they begin by themselves. One version has one open rotation.

create table rotations (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  kind text not null,
  target text not null,
  replaces text not null,
  state text not null,
  batch text,
  due_at integer,
  ended integer not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create unique index rotations_open on rotations (tenant, kind, target, replaces) where ended = 0;
create index rotations_by_due on rotations (tenant, due_at) where ended = 0;
create index rotations_by_target on rotations (tenant, target, ordinal);
create index rotations_by_batch on rotations (tenant, batch, ordinal) where batch is not null;

create table schedules (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  kind text not null,
  target text not null,
  status text not null,
  next_at integer not null,
  primary key (tenant, id),
  unique (tenant, ordinal),
  unique (tenant, kind, target)
) strict;
create index schedules_by_due on schedules (tenant, next_at) where status = 'active';

-- The vault: secrets, their versions sealed under a key of the vault, what was handed out, and those keys.
create table secrets (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  name text not null,
  owner text not null,
  primary key (tenant, id),
  unique (tenant, ordinal),
  unique (tenant, name)
) strict;
create index secrets_by_owner on secrets (tenant, owner, ordinal);

create table secret_versions (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  secret text not null,
  number integer not null,
  state text not null,
  vault_key text,
  primary key (tenant, id),
  unique (tenant, secret, number)
) strict;
create index secret_versions_by_key on secret_versions (tenant, vault_key) where vault_key is not null;

create table secret_leases (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  secret text not null,
  agent text not null,
  state text not null,
  due_at integer,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create index secret_leases_by_due on secret_leases (tenant, due_at) where due_at is not null;
create index secret_leases_by_agent on secret_leases (tenant, agent) where state <> 'ended';
create index secret_leases_by_secret on secret_leases (tenant, secret) where state <> 'ended';

create table vault_keys (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  state text not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create unique index vault_keys_active on vault_keys (tenant) where state = 'active';

-- Hashed secrets of OAuth clients.
create table client_secrets (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  client text not null,
  state text not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create index client_secrets_by_client on client_secrets (tenant, client, ordinal);

-- Who used a version of something that rotates: what its drain is judged by.
create table uses (
  tenant text not null,
  subject text not null,
  caller text not null,
  first_used_at integer not null,
  last_used_at integer not null,
  last_used_from text,
  until integer,
  primary key (tenant, subject, caller)
) strict, without rowid;


-- What decides at run time: policy sets in their versions, and what is halted.
create table policy_sets (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  number integer not null,
  state text not null,
  primary key (tenant, id),
  unique (tenant, ordinal),
  unique (tenant, number)
) strict;
create unique index policy_sets_in_use on policy_sets (tenant, state) where state in ('active', 'shadow');

create table halts (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  target text not null,
  lifted integer not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create unique index halts_live on halts (tenant, target) where lifted = 0;

-- Groups of people; who belongs to one stands with the person.
create table groups (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  name text not null,
  primary key (tenant, id),
  unique (tenant, ordinal),
  unique (tenant, name)
) strict;

-- Runs of instances, and the risk that was told of a subject.
create table sessions (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  agent text not null,
  instance text not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create index sessions_by_agent on sessions (tenant, agent, ordinal);
create index sessions_by_instance on sessions (tenant, instance, ordinal);

create table risks (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;

-- What may be activated for a while, and the tasks that somebody has to approve.
create table eligibilities (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  agent text not null,
  resource text not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create index eligibilities_by_agent on eligibilities (tenant, agent, ordinal);
create index eligibilities_by_resource on eligibilities (tenant, resource, ordinal);

create table approvals (
  tenant text not null references tenants (id),
  id text not null,
  ordinal integer not null,
  version integer not null,
  body text not null,
  agent text not null,
  kind text not null,
  state text not null,
  due_at integer,
  unreviewed integer not null,
  primary key (tenant, id),
  unique (tenant, ordinal)
) strict;
create index approvals_by_agent on approvals (tenant, agent, ordinal);
create index approvals_by_state on approvals (tenant, state, ordinal);
create index approvals_by_due on approvals (tenant, due_at) where due_at is not null;
create index approvals_unreviewed on approvals (tenant, ordinal) where unreviewed = 1;

-- What was spent of the budgets of grants, how grants were used, and who enforces what is said over the stream.
create table budgets (
  tenant text not null,
  owner text not null,
  name text not null,
  until integer not null,
  body text not null,
  primary key (tenant, owner, name)
) strict, without rowid;
create index budgets_by_end on budgets (until);

create table usage (
  tenant text not null,
  owner text not null,
  scope text not null,
  tool text not null,
  caller text not null,
  first_at integer not null,
  last_at integer not null,
  count integer not null,
  primary key (tenant, owner, scope, tool, caller)
) strict, without rowid;

create table enforcement_points (
  tenant text not null,
  id text not null,
  label text not null,
  node text not null,
  epoch integer not null,
  seen_ms integer not null,
  primary key (tenant, id)
) strict, without rowid;
create index enforcement_points_by_time on enforcement_points (tenant, seen_ms);
