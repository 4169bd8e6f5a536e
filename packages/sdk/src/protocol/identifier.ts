// Identifiers: a visible prefix and 130 random bits. An identifier is its text; there is no second spelling of one.

/** Everything that has an identifier of ours, by its prefix. */
export const prefixes = {
  agt: 'agent',
  ins: 'instance of an agent',
  usr: 'person',
  cli: 'other OAuth client',
  grt: 'grant',
  res: 'protected resource',
  evt: 'audit entry',
  enr: 'enrolment token',
  reg: 'registration token',
  key: 'key',
  tok: 'token',
  shd: 'shadow',
  apr: 'approval',
  pol: 'policy set',
  rot: 'rotation',
  sch: 'schedule of rotations',
  sec: 'secret in the vault',
  ver: 'version of a secret',
  lea: 'lease of a secret',
  vky: 'key of the vault',
  csc: 'secret of an OAuth client',
  grp: 'group of people',
  ses: 'session of an agent',
  elg: 'eligibility',
  hlt: 'halt',
  rsv: 'reservation from a budget',
} as const

export type IdPrefix = keyof typeof prefixes

/** The text `<prefix>_<26 letters>`; the brand keeps identifiers of different things apart. */
export type Id<P extends IdPrefix> = string & { readonly id: P }

/** The type of identifier for each prefix. */
export type Ids = { readonly [P in IdPrefix]: Id<P> }

export type AgentId = Id<'agt'>
export type InstanceId = Id<'ins'>
export type PersonId = Id<'usr'>
export type ClientId = Id<'cli'>
export type GrantId = Id<'grt'>
export type ResourceId = Id<'res'>
export type EventId = Id<'evt'>
export type ShadowId = Id<'shd'>
export type ApprovalId = Id<'apr'>
export type RotationId = Id<'rot'>
export type ScheduleId = Id<'sch'>
export type SecretId = Id<'sec'>
export type SecretVersionId = Id<'ver'>
export type SecretLeaseId = Id<'lea'>
export type VaultKeyId = Id<'vky'>
export type ClientSecretId = Id<'csc'>
export type PolicySetId = Id<'pol'>
export type GroupId = Id<'grp'>
export type SessionId = Id<'ses'>
export type EligibilityId = Id<'elg'>
export type HaltId = Id<'hlt'>
export type ReservationId = Id<'rsv'>

// Crockford's base32 in lower case: no i, l, o, u, so none is misread for another (threat C40).
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const length = 26
const body = new RegExp(`^[${alphabet}]{${length}}$`)

/**
 * A new identifier of 26 × 5 = 130 random bits, without a time in it: it tells nothing about when or how many.
 * `randomBytes` must be cryptographically strong, for some identifiers are also secrets.
 */
export function newId<P extends IdPrefix>(prefix: P, randomBytes: (length: number) => Uint8Array): Id<P> {
  let text = `${prefix}_`
  // 32 letters divide the 256 values of a byte evenly: no letter is likelier than another.
  for (const byte of randomBytes(length)) text += alphabet[byte & 31]
  return text as Id<P>
}

/** Whether the value is exactly the text of an identifier with this prefix. */
export function isId<P extends IdPrefix>(prefix: P, value: unknown): value is Id<P> {
  return (
    typeof value === 'string' && value.startsWith(`${prefix}_`) && body.test(value.slice(prefix.length + 1))
  )
}

/** The identifier, or undefined where the value is none with this prefix. */
export function parseId<P extends IdPrefix>(prefix: P, value: unknown): Id<P> | undefined {
  return isId(prefix, value) ? value : undefined
}

/** What an identifier names, by its prefix; undefined where the value is no identifier. */
export function prefixOf(value: unknown): IdPrefix | undefined {
  if (typeof value !== 'string') return undefined
  const prefix = value.slice(0, value.indexOf('_'))
  return Object.hasOwn(prefixes, prefix) && isId(prefix as IdPrefix, value) ? (prefix as IdPrefix) : undefined
}
