// RFC 6749 §2.3.1: a secret that a client shows, judged alike however it came; who has one is a client, never an agent.
import { Fault } from '@writ/sdk/protocol/fault'
import { parseId } from '@writ/sdk/protocol/identifier'
import { type Secret, sameSecret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../../context.ts'
import { type ClientSecret, mostLiveSecrets } from '../../domain/client-secret.ts'
import { sha256 } from '../../domain/hash.ts'
import type { CallerFacts } from '../../store/store.ts'
import type { Deps } from '../deps.ts'
import type { Proven } from './method.ts'

/** A client and its secret as shown; undefined where the request shows none that could be one. */
export interface Shown {
  readonly client: string
  readonly secret: Secret<string>
}

/** The longest secret that is looked at; ours are shorter. */
const mostLetters = 256

// One sentence whatever was wrong, so that a prober learns neither which clients exist nor how far it came.
const refuse = (kind: string, facts?: Record<string, unknown>): Fault =>
  new Fault('invalid_client', 'The client could not be authenticated.', { kind, ...facts })

/** The client whose secret this is. Throws `invalid_client` for everything else, after the same work. */
export async function proveSecret(
  ctx: Ctx,
  deps: Pick<Deps, 'store'>,
  method: string,
  shown: Shown | undefined,
): Promise<Proven> {
  if (shown === undefined || shown.secret.reveal().length > mostLetters) throw refuse('malformed_secret')
  // Never for agents, which prove themselves with a key: only ids of other clients can have a secret.
  const client = parseId('cli', shown.client)
  if (client === undefined) throw refuse('not_a_client_id')
  const hash = sha256(shown.secret.reveal())
  const facts = await deps.store.facts.caller(ctx, client)
  const found = ownerOf(facts, hash) ?? (await newlyKnown(ctx, deps, { client, facts, hash }))
  if (found === undefined) throw refuse('no_such_secret', { client })
  return {
    id: client,
    method,
    agent: found.facts.agent,
    client: found.facts.client,
    by: { key: null, secret: found.secret },
    facts: found.facts,
    claims: [],
  }
}

interface Found {
  readonly facts: CallerFacts
  readonly secret: ClientSecret
}

/** Compared with nobody's secret, where there are fewer than may live: nobody learns how many a client has, or of whom. */
const nobodys = Buffer.alloc(32)

function ownerOf(facts: CallerFacts | undefined, hash: Uint8Array): Found | undefined {
  const secrets = facts?.clientSecrets ?? []
  let found: Found | undefined
  for (let at = 0; at < Math.max(mostLiveSecrets, secrets.length); at += 1) {
    const secret = secrets[at]
    const same = sameSecret(hash, secret === undefined ? nobodys : Buffer.from(secret.hash, 'base64url'))
    if (same && secret !== undefined && facts !== undefined) found = { facts, secret }
  }
  return found
}

/**
 * What memory does not know is read again before anything is refused, so that a secret made on another node a moment
 * ago is good here: but only where something has happened since, as with keys.
 */
async function newlyKnown(
  ctx: Ctx,
  deps: Pick<Deps, 'store'>,
  { client, facts, hash }: { client: string; facts: CallerFacts | undefined; hash: Uint8Array },
): Promise<Found | undefined> {
  if (!facts?.remembered || (await deps.store.signals.head(ctx)) <= facts.epoch) return undefined
  return ownerOf(await deps.store.facts.caller(ctx, client, { fresh: true }), hash)
}
