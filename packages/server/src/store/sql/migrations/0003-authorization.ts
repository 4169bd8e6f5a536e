// Migration 3: policy sets, groups, sessions, risk, eligibilities, approvals, halts, budgets, usage, enforcement points.
import type { Words } from '../dialect.ts'

export const name = 'authorization'

const record = ({ text, int }: Words) => `tenant ${text} not null references tenants (id),
  id ${text} not null,
  ordinal ${int} not null,
  version ${int} not null,
  body ${text} not null`

const keyed = `primary key (tenant, id),
  unique (tenant, ordinal)`

export const up = (w: Words): readonly string[] => [
  ...rules(w),
  ...people(w),
  ...runs(w),
  ...tasks(w),
  ...counts(w),
]

const rules = (w: Words): readonly string[] => [
  `create table policy_sets (
  ${record(w)},
  number ${w.int} not null,
  state ${w.text} not null,
  ${keyed},
  unique (tenant, number)
)${w.table}`,
  // One set is in force and at most one is tried, whatever races.
  `create unique index policy_sets_in_use on policy_sets (tenant, state) where state in ('active', 'shadow')`,
  `create table halts (
  ${record(w)},
  target ${w.text} not null,
  lifted ${w.int} not null,
  ${keyed}
)${w.table}`,
  'create unique index halts_live on halts (tenant, target) where lifted = 0',
]

const people = (w: Words): readonly string[] => [
  // The ids of a person's groups, each between spaces: by it the members of one are found.
  `alter table people add column groups ${w.text} not null default '  '`,
  `create table groups (
  ${record(w)},
  name ${w.text} not null,
  ${keyed},
  unique (tenant, name)
)${w.table}`,
]

const runs = (w: Words): readonly string[] => [
  `create table sessions (
  ${record(w)},
  agent ${w.text} not null,
  instance ${w.text} not null,
  ${keyed}
)${w.table}`,
  'create index sessions_by_agent on sessions (tenant, agent, ordinal)',
  'create index sessions_by_instance on sessions (tenant, instance, ordinal)',
  `create table risks (
  ${record(w)},
  ${keyed}
)${w.table}`,
]

const tasks = (w: Words): readonly string[] => [
  `create table eligibilities (
  ${record(w)},
  agent ${w.text} not null,
  resource ${w.text} not null,
  ${keyed}
)${w.table}`,
  'create index eligibilities_by_agent on eligibilities (tenant, agent, ordinal)',
  'create index eligibilities_by_resource on eligibilities (tenant, resource, ordinal)',
  `create table approvals (
  ${record(w)},
  agent ${w.text} not null,
  kind ${w.text} not null,
  state ${w.text} not null,
  due_at ${w.int},
  unreviewed ${w.int} not null,
  ${keyed}
)${w.table}`,
  'create index approvals_by_agent on approvals (tenant, agent, ordinal)',
  'create index approvals_by_state on approvals (tenant, state, ordinal)',
  'create index approvals_by_due on approvals (tenant, due_at) where due_at is not null',
  'create index approvals_unreviewed on approvals (tenant, ordinal) where unreviewed = 1',
]

const counts = (w: Words): readonly string[] => [
  `alter table grants add column created_at ${w.int} not null default 0`,
  `create table budgets (
  tenant ${w.text} not null,
  owner ${w.text} not null,
  name ${w.text} not null,
  until ${w.int} not null,
  body ${w.text} not null,
  primary key (tenant, owner, name)
)${w.keyed}`,
  'create index budgets_by_end on budgets (until)',
  `create table usage (
  tenant ${w.text} not null,
  owner ${w.text} not null,
  scope ${w.text} not null,
  tool ${w.text} not null,
  caller ${w.text} not null,
  first_at ${w.int} not null,
  last_at ${w.int} not null,
  count ${w.int} not null,
  primary key (tenant, owner, scope, tool, caller)
)${w.keyed}`,
  `create table enforcement_points (
  tenant ${w.text} not null,
  id ${w.text} not null,
  label ${w.text} not null,
  node ${w.text} not null,
  epoch ${w.int} not null,
  seen_ms ${w.int} not null,
  primary key (tenant, id)
)${w.keyed}`,
  'create index enforcement_points_by_time on enforcement_points (tenant, seen_ms)',
]
