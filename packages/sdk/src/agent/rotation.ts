// Rotating the instance's own key: the old key signs the assertion, the new one the proof; nothing in flight fails.
import { type Code, Fault, isFault } from '../protocol/fault.ts'
import type { JsonObject } from '../protocol/json.ts'
import type { SignKey } from '../protocol/jwk.ts'
import { assertionType, createAssertion } from './assertion.ts'
import type { Acting, KeptCredentials } from './credentials.ts'
import type { Discovery } from './discovery.ts'
import { acceptedKey, instantIn } from './enrollment.ts'
import type { Acceptance, Held, Keystore } from './keystores/keystore.ts'
import { postProven, refused, type Wire } from './wire.ts'

export interface RotationDeps {
  readonly wire: Wire
  readonly discovery: Discovery
  readonly keystore: Keystore
  readonly credentials: KeptCredentials
}

/** The key that was replaced, and until when its tokens may be used (epoch seconds by the issuer's clock). */
export interface Replaced {
  readonly jkt: string
  readonly until: number | null
}

const purposeOf = (jkt: string): string => `rotation:${jkt}`

/** Whether a successor of the key in use was made, and it was not learnt whether the issuer took it. */
export function isCutOff({ active, staged }: Held): boolean {
  return active !== undefined && staged?.purpose === purposeOf(active.key.jkt)
}

/**
 * Replaces the key in use, or goes on with the one by which another process has replaced it. Can be cut off anywhere:
 * the new key is durable before the issuer hears of it, and repeating the request with the same key is answered alike.
 * Throws what the issuer refuses with, `conflict` where this key has another successor: the keystore was copied.
 */
export function rotate(deps: RotationDeps): Promise<Replaced | undefined> {
  return deps.keystore.alone(async () => {
    const held = await deps.keystore.read()
    const before = deps.credentials.current()
    if (held.member === undefined || held.active === undefined) {
      throw new Fault('conflict', 'The keystore of this instance was emptied while it ran.', {
        kind: 'keystore_emptied',
      })
    }
    if (held.active.key.jkt !== before.key.jkt) {
      deps.credentials.adopt(held)
      return undefined
    }
    const next = await deps.keystore.stage(purposeOf(before.key.jkt))
    const { acceptance, until } = await succeed(deps, {
      before,
      next,
      held,
      enrollment: held.member.enrollment,
    })
    await deps.keystore.activate(next.jkt, acceptance)
    deps.credentials.adopt(await deps.keystore.read())
    return { jkt: before.key.jkt, until }
  })
}

/**
 * After the issuer refused the key in use: whether there is another one to go on with, because another process has
 * rotated it, or because this one was cut off in the middle of a rotation and its old key has ended since.
 */
export async function recover(deps: RotationDeps): Promise<boolean> {
  const { jkt } = deps.credentials.current().key
  const held = await deps.keystore.read()
  if (held.active !== undefined && held.active.key.jkt !== jkt) {
    deps.credentials.adopt(held)
    return true
  }
  if (held.staged?.purpose !== purposeOf(jkt)) return false
  try {
    await rotate(deps)
    return true
  } catch (error) {
    if (isFault(error)) return false
    throw error
  }
}

interface Succession {
  readonly before: Acting
  readonly next: SignKey
  readonly held: Held
  readonly enrollment: string
}

async function succeed(
  deps: RotationDeps,
  { before, next, held, enrollment }: Succession,
): Promise<{ acceptance: Acceptance; until: number | null }> {
  const { issuer, clientId } = before
  const instance = before.instance ?? ''
  try {
    const answer = await requestRotation(deps, before, next)
    if (answer['client_id'] !== clientId || answer['instance'] !== instance) {
      throw new Fault('server_error', 'The issuer answered for another instance.', { kind: 'other_instance' })
    }
    const until = instantIn(answer['previous'], 'expires_at') ?? null
    return { acceptance: { issuer, clientId, instance, enrollment, ...acceptedKey(answer) }, until }
  } catch (error) {
    const isResumed = held.staged?.key.jkt === next.jkt
    if (
      !isResumed ||
      !isFault(error) ||
      error.code !== 'invalid_client' ||
      !(await isAccepted(deps, before, next))
    )
      throw error
    // The answer that named its window was lost for good: it counts as ending now, so that it is rotated at once.
    const now = deps.wire.origins.begin(issuer).now
    const window = { kid: next.jkt, notBefore: now, expiresAt: now }
    return { acceptance: { issuer, clientId, instance, enrollment, ...window }, until: now }
  }
}

async function requestRotation(
  { wire, discovery }: RotationDeps,
  before: Acting,
  next: SignKey,
): Promise<Readonly<JsonObject>> {
  return postProven(wire, {
    url: await discovery.endpoint('key_rotation_endpoint'),
    proofKey: next,
    mediaType: 'application/json',
    body: now =>
      JSON.stringify({
        client_assertion_type: assertionType,
        client_assertion: createAssertion(before, now, next.jkt),
        jwk: next.jwk,
      }),
  })
}

/** What the token endpoint says to a client that it knows; before that it says `invalid_client`. */
const afterAuthentication: ReadonlySet<Code> = new Set([
  'invalid_target',
  'invalid_scope',
  'unauthorized_client',
])

/** Whether the issuer knows a key although we never heard so. */
async function isAccepted(
  { wire, discovery }: RotationDeps,
  before: Acting,
  next: SignKey,
): Promise<boolean> {
  try {
    await postProven(wire, {
      url: await discovery.tokenEndpoint(),
      proofKey: next,
      mediaType: 'application/x-www-form-urlencoded',
      body: now =>
        new URLSearchParams({
          grant_type: 'client_credentials',
          client_assertion_type: assertionType,
          client_assertion: createAssertion({ ...before, key: next, kid: next.jkt }, now),
        }).toString(),
    })
    return true
  } catch (error) {
    if (!isFault(error)) throw error
    return error.why?.kind === refused && afterAuthentication.has(error.code)
  }
}
