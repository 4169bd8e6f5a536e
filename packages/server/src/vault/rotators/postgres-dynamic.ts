// The rotator `postgres-dynamic`: a role of a PostgreSQL for each lease, which ends with it.
import { randomBytes } from 'node:crypto'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import pg from 'pg'
import { z } from 'zod'
import { connectingOptions, permitted, sessionOf } from './postgres-admin.ts'
import { withPooled } from './postgres-pool.ts'
import { endSessions, locking } from './postgres-roles.ts'
import type { Postgres } from './postgres-session.ts'
import { formatPostgresUrl, parsePostgresPlace } from './postgres-url.ts'
import type { LeaseRotator } from './rotator.ts'
import { scramVerifier } from './scram.ts'

const { escapeIdentifier, escapeLiteral } = pg

const options = z
  .strictObject({
    ...connectingOptions,
    /** Its roles are `writ_<base>_` and 26 letters: 63 together, as many as PostgreSQL allows. */
    base: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,30}$/, 'is a name of at most 31 lower-case letters, digits and `_`'),
    /** Whose become the objects that a role leaves behind; they are dropped where it is absent. */
    reassignTo: z.string().optional(),
  })
  // INVARIANT: nobody gains by it. A function that runs with its owner's rights must not get more than it was made with.
  .refine(({ reassignTo, memberOf }) => reassignTo === undefined || memberOf.includes(reassignTo), {
    path: ['reassignTo'],
    message: 'is one of memberOf',
  })

type Options = z.infer<typeof options>

const letters = '[a-z0-9]{26}'

export const postgresDynamic: LeaseRotator<Options> = {
  kind: 'postgres-dynamic',
  options,
  makes: 'leases',
  handleOf({ base }, random) {
    if (!new RegExp(`^${letters}$`).test(random)) throw new Error('a handle is made of 26 letters and digits')
    return `writ_${base}_${random}`
  },
  async issue(context) {
    const { options: given, handle, expiresAt, secretName } = context
    mustBeOurs(handle, given)
    const session = await sessionOf(context)
    const place = given.address === undefined ? session.access : parsePostgresPlace(given.address)
    // 256 bits, in letters that no URL has to encode.
    const password = randomBytes(32).toString('base64url')
    const access = permitted({ ...session.access, ...place, username: handle, password }, given)
    const verifier = await scramVerifier(password)
    const attributes = attributesOf(verifier, expiresAt)
    await withPooled(session, async postgres => {
      try {
        await postgres.run(...creating(handle, attributes, { given, secretName }))
      } catch (error) {
        if (!exists.includes(codeOf(error))) throw error
        await remake(postgres, attributes, { handle, secretName })
      }
    })
    return new Secret(formatPostgresUrl(access))
  },
  async revoke(context) {
    const { options: given, handle } = context
    mustBeOurs(handle, given)
    await withPooled(await sessionOf(context), async postgres => {
      try {
        await ended(postgres, handle, given)
      } catch (error) {
        // Another node was faster.
        if (codeOf(error) !== missing) throw error
        await postgres.run('rollback')
        if (await isThere(postgres, handle)) throw error
      }
    })
  },
  async handles(context) {
    const { options: given, secretName } = context
    const rows = await withPooled(await sessionOf(context), postgres =>
      postgres.run(`
        select rolname from pg_catalog.pg_roles
        where rolname ~ ${escapeLiteral(`^writ_${given.base}_${letters}$`)}
          and pg_catalog.shobj_description(oid, 'pg_authid') = ${escapeLiteral(commentOf(secretName))}`),
    )
    return rows.map(({ rolname }) => String(rolname))
  },
}

/** PostgreSQL, appendix A. The second is what the slower of two nodes hears that make it at once. */
const exists: readonly unknown[] = ['42710', '23505']
const missing = '42704'

function codeOf(error: unknown): unknown {
  return isFault(error) && error.code === 'conflict' ? error.why?.['code'] : undefined
}

/** Handles come from the store: a role that was not made for a lease is never touched, whatever stands there. */
function mustBeOurs(handle: string, { base }: Options): void {
  if (new RegExp(`^writ_${base}_${letters}$`).test(handle)) return
  throw new Fault('conflict', `The lease is none of roles writ_${base}_…: end it by hand.`, {
    kind: 'handle_foreign',
  })
}

/** Another installation may use the same base at the same server: what is not ours must not be swept. */
function commentOf(secretName: string): string {
  return `writ lease of ${secretName}`
}

/** No role outlives its lease by the password, even where nobody comes to end it. */
function attributesOf(verifier: string, expiresAt: number): string {
  const until = new Date(expiresAt * 1000).toISOString()
  return `login password ${escapeLiteral(verifier)} valid until ${escapeLiteral(until)}`
}

/** One round trip and, in it, one transaction. The password itself is not sent: only its verifier is. */
function creating(
  handle: string,
  attributes: string,
  { given, secretName }: { readonly given: Options; readonly secretName: string },
): string[] {
  const role = escapeIdentifier(handle)
  const groups = given.memberOf.map(name => escapeIdentifier(name)).join(', ')
  return [
    `create role ${role} ${attributes} ${groups === '' ? '' : `in role ${groups}`}`,
    `comment on role ${role} is ${escapeLiteral(commentOf(secretName))}`,
  ]
}

/** It was made before, or is made by another node: the answer was lost with its password, so that it gets another. */
async function remake(
  postgres: Postgres,
  attributes: string,
  { handle, secretName }: { readonly handle: string; readonly secretName: string },
): Promise<void> {
  const role = escapeLiteral(handle)
  const [known] = await postgres.run(
    ...locking(handle),
    `select pg_catalog.shobj_description(oid, 'pg_authid') as comment from pg_catalog.pg_roles where rolname = ${role}`,
  )
  if (known?.['comment'] === commentOf(secretName)) {
    await postgres.run(`alter role ${escapeIdentifier(handle)} ${attributes}`, 'commit')
    return
  }
  throw new Fault('conflict', `The role ${handle} was not made for this secret: drop it, or ask anew.`, {
    ...{ kind: 'role_foreign', handle },
  })
}

async function isThere(postgres: Postgres, handle: string): Promise<boolean> {
  const rows = await postgres.run(
    `select 1 from pg_catalog.pg_roles where rolname = ${escapeLiteral(handle)}`,
  )
  return rows.length > 0
}

async function ended(postgres: Postgres, handle: string, { reassignTo }: Options): Promise<void> {
  if (!(await isThere(postgres, handle))) return
  const role = escapeIdentifier(handle)
  // Whoever made a role may administer it, and yet has none of its rights, which dropping what it owns takes.
  await postgres.run(
    ...locking(handle),
    `alter role ${role} nologin`,
    `grant ${role} to current_user`,
    'commit',
  )
  await endSessions(postgres, handle, null)
  await postgres.run(
    ...locking(handle),
    ...(reassignTo === undefined ? [] : [`reassign owned by ${role} to ${escapeIdentifier(reassignTo)}`]),
    `drop owned by ${role}`,
    `drop role ${role}`,
    'commit',
  )
}
