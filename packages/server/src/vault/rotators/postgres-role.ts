// The rotator `postgres-role`: two alternating roles of a PostgreSQL, whose sessions show who needs the old one.
import { createHash, randomBytes } from 'node:crypto'
import { Fault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import pg from 'pg'
import { z } from 'zod'
import type { DrainUser } from '../../domain/rotation.ts'
import { connectingOptions, permitted, sessionOf } from './postgres-admin.ts'
import { endSessions, locking, sessionsOf } from './postgres-roles.ts'
import { enterPostgres, type Postgres, type Row, withPostgres } from './postgres-session.ts'
import {
  formatPostgresUrl,
  type PostgresAccess,
  parsePostgresPlace,
  parsePostgresUrl,
} from './postgres-url.ts'
import type { Held, Rotator } from './rotator.ts'
import { scramVerifier } from './scram.ts'

const { escapeIdentifier, escapeLiteral } = pg

const options = z.strictObject({
  ...connectingOptions,
  /** Its roles are `<role>_a` and `<role>_b`: two letters less than PostgreSQL allows. */
  role: z
    .string()
    .regex(
      /^(?!pg_)[a-z_][a-z0-9_]{0,60}$/,
      'is a name of lower-case letters, digits and `_`, not of `pg_…`',
    ),
})

type Options = z.infer<typeof options>

export const postgresRole: Rotator<Options> = {
  kind: 'postgres-role',
  options,
  makes: 'versions',
  proof: 'live_sessions',
  async propose(context) {
    const { options: given } = context
    const username = otherThan(context.current, given)
    const { access } = await sessionOf(context)
    const place = given.address === undefined ? access : parsePostgresPlace(given.address)
    // 256 bits, in letters that no URL has to encode.
    const password = randomBytes(32).toString('base64url')
    const value = formatPostgresUrl(permitted({ ...access, ...place, username, password }, given))
    return { value: new Secret(value), handle: username }
  },
  async stage(context) {
    const { username, password } = accessOf(context.next)
    const verifier = await scramVerifier(password)
    await withPostgres(await sessionOf(context), async postgres => {
      const known = await locked(postgres, username)
      // Somebody else's role, or an older version that still drains: a new password would lock out whoever uses it.
      if (known !== undefined && known.mark !== markOf(password) && !isIdle(known)) throw taken(username)
      await postgres.run(...making({ username, password, verifier }, context.options, known), 'commit')
    })
    return {}
  },
  async verify(context) {
    const { options: given, next, signal } = context
    await enterPostgres({ access: permitted(accessOf(next), given), ca: given.ca, signal })
  },
  async promote() {
    // PostgreSQL has no such notion: both roles work, and consumers go over as they are given the new one.
  },
  async sessions(context) {
    const { username, password } = accessOf(context.next)
    const mark = isOurs(username, context.options) ? markOf(password) : null
    return withPostgres(await sessionOf(context), async postgres =>
      (await postgres.run(sessionsOf(username, mark))).map(row => userOf(row, username, context.now)),
    )
  },
  async retire(context) {
    const { username, password } = accessOf(context.next)
    await withPostgres(await sessionOf(context), async postgres => {
      const known = await locked(postgres, username)
      if (known === undefined || (known.mark !== undefined && known.mark !== markOf(password))) return
      if (known.mark === undefined) {
        // Given by hand, and a person has locked it since: nobody comes in with it.
        if (!known.canLogIn || isOurs(username, context.options)) return
        throw foreign(username)
      }
      await postgres.run(`alter role ${escapeIdentifier(username)} nologin password null`, 'commit')
      await endSessions(postgres, username, markOf(password))
    })
  },
}

/** What a role was before this step. */
interface Known {
  readonly canLogIn: boolean
  /** Which version it is for; undefined where it is not ours. */
  readonly mark: string | undefined
  /** What it was made a member of by this administrator. */
  readonly memberOf: readonly string[]
}

const isIdle = ({ canLogIn, mark }: Known): boolean => mark !== undefined && !canLogIn

/** `app_a` and `app_b` in turn; also where the one in use was given by hand. */
function otherThan(current: Held | null, { role }: Options): string {
  const user = current && (parsePostgresUrl(current.value.reveal())?.username ?? current.handle)
  return user === `${role}_a` ? `${role}_b` : `${role}_a`
}

function isOurs(username: string, { role }: Options): boolean {
  return username === `${role}_a` || username === `${role}_b`
}

/**
 * Says in the role's comment which version it is for, as its password cannot be read: a step that comes late must not
 * touch a later version of the same name. Of 256 random bits the hash tells nothing.
 */
function markOf(password: string): string {
  return `writ version ${createHash('sha256').update(password).digest('hex').slice(0, 32)}`
}

/**
 * Begins a transaction in which no other node changes this role, and answers how it stands. Without the lock two that
 * stage at once would fail on each other's rows.
 */
async function locked(postgres: Postgres, username: string): Promise<Known | undefined> {
  const [row] = await postgres.run(...locking(username), stateOf(username))
  if (row === undefined) return undefined
  const { comment, can_log_in, member_of } = row
  const isMarked = typeof comment === 'string' && comment.startsWith('writ version ')
  return {
    canLogIn: can_log_in === true,
    mark: isMarked ? comment : undefined,
    memberOf: JSON.parse(String(member_of)) as string[],
  }
}

const stateOf = (username: string): string => `
  select r.rolcanlogin as can_log_in, pg_catalog.shobj_description(r.oid, 'pg_authid') as comment,
    (select coalesce(pg_catalog.json_agg(g.rolname), '[]')::pg_catalog.text
      from pg_catalog.pg_auth_members m
      join pg_catalog.pg_roles g on g.oid = m.roleid
      join pg_catalog.pg_roles me on me.oid = m.grantor and me.rolname = current_user
      where m.member = r.oid) as member_of
  from pg_catalog.pg_roles r where r.rolname = ${escapeLiteral(username)}`

interface Making {
  readonly username: string
  readonly password: string
  readonly verifier: string
}

/** One transaction, so that there is no instant with half of it. The password itself is not sent: only its verifier is. */
function making(
  { username, password, verifier }: Making,
  { memberOf }: Options,
  known: Known | undefined,
): string[] {
  const role = escapeIdentifier(username)
  const verb = known === undefined ? 'create' : 'alter'
  const now = new Set(known?.memberOf)
  return [
    `${verb} role ${role} login password ${escapeLiteral(verifier)} valid until 'infinity'`,
    `comment on role ${role} is ${escapeLiteral(markOf(password))}`,
    ...memberOf.filter(name => !now.has(name)).map(name => `grant ${escapeIdentifier(name)} to ${role}`),
    // Options may have been narrowed since this role was last in use.
    ...[...now.difference(new Set(memberOf))].map(name => `revoke ${escapeIdentifier(name)} from ${role}`),
  ]
}

function userOf(
  { pid, application_name, host, port, age, idle, state }: Row,
  role: string,
  now: number,
): DrainUser {
  const name = typeof application_name === 'string' ? application_name : ''
  const session = `session ${pid} of ${role}`
  return {
    caller: name === '' ? session : `${name} (${session})`,
    // Unknown to whoever may not see it; that there is a session is known to everybody.
    from: host === null ? null : `${host}:${port}`,
    firstUsedAt: age === null ? null : now - Number(age),
    lastUsedAt: idle === null || state === 'active' ? now : now - Number(idle),
    until: null,
  }
}

function accessOf({ value }: Held): PostgresAccess {
  const access = parsePostgresUrl(value.reveal())
  if (access !== undefined) return access
  throw new Fault(
    'conflict',
    'The version is no PostgreSQL URL with a role and a password; withdraw it by hand.',
    {
      kind: 'value_unusable',
    },
  )
}

function taken(username: string): Fault {
  return new Fault(
    'conflict',
    `The role ${username} exists already, for another version or not by us: an older version still drains, or it is ` +
      "somebody else's; end that rotation, or drop the role.",
    { kind: 'role_taken', username },
  )
}

function foreign(username: string): Fault {
  return new Fault(
    'conflict',
    `The role ${username} was not made by a rotation: ALTER ROLE … NOLOGIN by hand and end its sessions, then it goes on.`,
    { kind: 'role_foreign', username },
  )
}
