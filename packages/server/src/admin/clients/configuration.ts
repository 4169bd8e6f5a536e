// RFC 7592: a client reads, replaces and deletes its own registration by the token that came with it.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { parseId } from '@writ/sdk/protocol/identifier'
import { Secret, sameSecret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../../context.ts'
import { type EntryDraft, excerpt } from '../../domain/audit-entry.ts'
import type { Change, Versioned } from '../../domain/change.ts'
import { type Client, hasSecrets, registrationPath, registrationSubject } from '../../domain/client.ts'
import { hashBytes, sha256 } from '../../domain/hash.ts'
import type { Store } from '../../store/store.ts'
import { type ClientReads, changeOf, endOf } from './change.ts'
import { type IssueReads, issueSecret } from './issue-secret.ts'
import { usableKeys } from './keys.ts'
import { clientRegistration, parseRegistration, type Registration } from './registration.ts'

export interface ConfigurationDeps extends ClientReads, IssueReads {
  readonly store: Store
  /** Takes one request from the client's allowance; false when it is used up. */
  readonly mayProceed: (callerId: string, nowMs: number) => boolean
}

/** Who asks for which registration. */
export interface Asked {
  readonly client: string
  readonly authorization: string | undefined
}

interface Caller {
  readonly client: Versioned<Client>
  readonly token: Secret<string>
  /** Read before the record: what ends after it makes the commit stale. */
  readonly epoch: number
}

/** What was decided about it; the entry of the change itself is added. */
interface Decided<A> {
  readonly change: Pick<Change, 'puts' | 'removals' | 'signals'>
  readonly facts?: EntryDraft['facts']
  readonly answer: A
}

/** RFC 7592 §2.1. Throws `invalid_token` for whoever it is not, `access_denied` for a suspended client. */
export function readRegistration(ctx: Ctx, deps: ConfigurationDeps, asked: Asked): Promise<Registration> {
  return managed(ctx, deps, asked, {
    event: 'client.read',
    async decide({ client, token }) {
      const keys = await usableKeys(ctx, deps, client.id)
      return { change: {}, answer: clientRegistration(ctx, client, { keys, token }) }
    },
  })
}

/**
 * RFC 7592 §2.2: the whole registration anew, never a part of it. A client that authenticates by a secret gets the next
 * one with every update, while the former drains. Throws what reading throws, `invalid_client_metadata`,
 * `invalid_redirect_uri`, and `conflict` while two secrets are in use.
 */
export function replaceRegistration(
  ctx: Ctx,
  deps: ConfigurationDeps,
  asked: Asked,
  body: Readonly<Record<string, unknown>>,
): Promise<Registration> {
  return managed(ctx, deps, asked, {
    event: 'client.updated',
    async decide({ client: { version, ...client }, token }) {
      const { wanted, secret: shown } = await parseRegistration(ctx, deps, client, body)
      const changed = await changeOf(ctx, deps, client, wanted)
      const asking = { reason: 'self_service', shown }
      const issued = hasSecrets(wanted.method)
        ? await issueSecret(ctx, deps, changed.client, asking)
        : undefined
      const given = { keys: changed.keys, token, ...(issued && { secret: issued.text }) }
      return {
        change: {
          puts: [
            { put: 'client', value: changed.client, ifVersion: version },
            ...changed.puts,
            ...(issued?.puts ?? []),
          ],
          signals: [...changed.signals, ...(issued?.signals ?? [])],
        },
        facts: {
          members: Object.keys(body).sort().slice(0, 32),
          ...(issued && { client_secret: issued.record.id, rotation: issued.rotation?.id ?? null }),
        },
        answer: clientRegistration(ctx, changed.client, given),
      }
    },
  })
}

/** RFC 7592 §2.3: the client gone, and with it everything that proved it, its token included. */
export async function deleteRegistration(ctx: Ctx, deps: ConfigurationDeps, asked: Asked): Promise<void> {
  await managed(ctx, deps, asked, {
    event: 'client.deleted',
    decide: async ({ client }) => ({ change: await endOf(ctx, deps, client), answer: undefined }),
  })
}

interface Deed<A = unknown> {
  readonly event: string
  decide(caller: Caller): Promise<Decided<A>>
}

/** How often it is decided again because the record changed before that could be committed. */
const attempts = 3

async function managed<A>(ctx: Ctx, deps: ConfigurationDeps, asked: Asked, deed: Deed<A>): Promise<A> {
  let last = ''
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const caller = await authenticate(ctx, deps, asked, attempt)
    try {
      if (caller.client.status !== 'active')
        throw new Fault('access_denied', 'This client is suspended.', { kind: 'client_suspended' })
      const { change, facts = {}, answer } = await deed.decide(caller)
      const subjects = [caller.client.id, registrationSubject(caller.client)]
      const committed = await deps.store.commit(ctx, {
        ...change,
        bases: [{ epoch: caller.epoch, subjects }],
        entries: [entryOf(ctx, deed, caller, { outcome: 'allowed', facts })],
      })
      if (committed.kind === 'done') return answer
      last = committed.kind
    } catch (error) {
      throw isFault(error) ? await refused(ctx, deps, { deed, caller, fault: asMetadata(error) }) : error
    }
  }
  throw new Fault('temporarily_unavailable', 'This registration keeps changing; try again.', { kind: last })
}

/** RFC 6750 §2.1: the scheme, one space, and a token68 of the size we issue. */
const credentials = /^Bearer ([A-Za-z0-9_-]{16,256})$/i
const nobodys = Buffer.alloc(hashBytes)

// RFC 7592 §2: one answer for a wrong token and for a client that is gone.
const refuse = (kind: string): Fault =>
  new Fault('invalid_token', 'The registration access token is not valid here.', { kind })

async function authenticate(
  ctx: Ctx,
  deps: ConfigurationDeps,
  { client: named, authorization }: Asked,
  attempt: number,
): Promise<Caller> {
  if (authorization === undefined) {
    throw new Fault('invalid_token', 'Send the registration access token as a bearer token.', {
      kind: 'no_credentials',
    })
  }
  const token = credentials.exec(authorization)?.[1]
  const id = parseId('cli', named)
  if (token === undefined || id === undefined) throw refuse('malformed')
  const epoch = await deps.store.signals.head(ctx)
  const client = await deps.store.clients.get(ctx, id)
  const kept = client?.registrationHash == null ? nobodys : Buffer.from(client.registrationHash, 'base64url')
  if (!sameSecret(sha256(token), kept) || client === undefined) throw refuse('no_such_token')
  if (attempt === 1) {
    ctx.note({ caller: id })
    if (!deps.mayProceed(id, ctx.nowMs))
      throw new Fault('rate_limited', 'Too many requests of this client; slow down.', { kind: 'caller' })
  }
  return { client, token: new Secret(token), epoch }
}

const metadataCodes = new Set(['invalid_value', 'invalid_key', 'invalid_request', 'unsupported_member'])

/** RFC 7591 §3.2.2: the two codes that a client knows for what is wrong with its metadata. */
function asMetadata(fault: Fault): Fault {
  if (!metadataCodes.has(fault.code)) return fault
  const isRedirect = String(fault.why?.['member'] ?? '').startsWith('redirect_uris')
  return new Fault(isRedirect ? 'invalid_redirect_uri' : 'invalid_client_metadata', fault.message, fault.why)
}

interface Refused {
  readonly deed: Deed
  readonly caller: Caller
  readonly fault: Fault
}

/** The Fault to answer with, its entry committed. */
async function refused(ctx: Ctx, deps: ConfigurationDeps, { deed, caller, fault }: Refused): Promise<Fault> {
  // Our own inability is not a decision about the caller.
  if (fault.code === 'temporarily_unavailable' || fault.code === 'server_error') return fault
  const entry = entryOf(ctx, deed, caller, { outcome: 'refused', fault })
  const committed = await deps.store.commit(ctx, { entries: [entry] })
  if (committed.kind === 'done') return fault
  return new Fault('temporarily_unavailable', 'The refusal could not be recorded; try again.', {
    kind: committed.kind,
  })
}

interface Verdict {
  readonly outcome: 'allowed' | 'refused'
  readonly fault?: Fault
  readonly facts?: EntryDraft['facts']
}

function entryOf(ctx: Ctx, { event }: Deed, { client, epoch }: Caller, verdict: Verdict): EntryDraft {
  const { outcome, fault, facts = {} } = verdict
  return {
    type: event,
    outcome,
    reason: fault === undefined ? null : excerpt(fault.message, 512),
    agent: client.id,
    chain: [{ sub: client.id, kind: 'client' }],
    resource: ctx.issuer + registrationPath(client.id),
    action: event,
    decision: {
      rule: fault === undefined ? 'registration_access_token' : (fault.why?.kind ?? fault.code),
      ...(fault === undefined ? {} : { code: fault.code }),
      epoch,
    },
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
    facts: { client: client.id, ...facts },
  }
}
