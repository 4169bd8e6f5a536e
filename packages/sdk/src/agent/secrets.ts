// Secrets of the issuer's vault: read with a token for that very secret and a proof, kept for half of their lease.
import { boundedCache } from '../protocol/bounded-cache.ts'
import { type Code, codes, Fault, isFault } from '../protocol/fault.ts'
import { type JsonObject, readJsonObject } from '../protocol/json.ts'
import { Secret } from '../protocol/secret.ts'
import { authorizedFetch, type FetchDeps } from './authorized-fetch.ts'
import type { Discovery } from './discovery.ts'

export interface HeldSecret {
  readonly value: Secret<string>
  /** From 1; a higher one is a later one. */
  readonly version: number
  /** Epoch seconds: until then it may be relied on without asking again. */
  readonly expiresAt: number
}

export interface HeldLease {
  readonly value: Secret<string>
  readonly lease: string
  /** Epoch seconds: it works no longer. */
  readonly expiresAt: number
  /** Gives it back before its time; what was made for it ends within seconds. */
  end(): Promise<void>
}

export interface SecretDeps extends FetchDeps {
  readonly discovery: Pick<Discovery, 'endpoint'>
}

export interface Secrets {
  get(name: string): Promise<HeldSecret>
  lease(name: string, ttlSeconds: number | undefined): Promise<HeldLease>
}

interface Kept {
  readonly held: HeldSecret
  /** Epoch milliseconds of our own clock. */
  readonly freshUntilMs: number
  readonly goodUntilMs: number
}

interface Slot {
  kept: Kept | undefined
  request: Promise<HeldSecret> | undefined
}

const scope = 'secret:read'
const maxSecrets = 512
const maxAnswerBytes = 65_536
/** Waits before the issuer is asked again that could not serve us now. */
const waitsMs = [100, 500]

export function createSecrets(deps: SecretDeps): Secrets {
  const slots = boundedCache<Slot>(maxSecrets)
  const clock = deps.wire.clock
  const slotOf = (name: string): Slot => {
    const slot = slots.get(name) ?? { kept: undefined, request: undefined }
    slots.set(name, slot)
    return slot
  }
  const fetched = async (name: string, slot: Slot): Promise<HeldSecret> => {
    const askedMs = clock()
    try {
      const kept = await read(deps, name, askedMs)
      slot.kept = kept
      return kept.held
    } catch (error) {
      // The issuer is away; what was given is good until its lease is over. A refusal is a refusal at once.
      const { kept } = slot
      if (isFault(error) && error.code === 'temporarily_unavailable' && kept && clock() < kept.goodUntilMs)
        return kept.held
      slot.kept = undefined
      throw error
    } finally {
      slot.request = undefined
    }
  }
  return {
    async get(name) {
      mustBeName(name)
      const slot = slotOf(name)
      if (slot.kept !== undefined && clock() < slot.kept.freshUntilMs) return slot.kept.held
      slot.request ??= fetched(name, slot)
      return slot.request
    },
    async lease(name, ttlSeconds) {
      mustBeName(name)
      const body = JSON.stringify(ttlSeconds === undefined ? {} : { ttl_seconds: ttlSeconds })
      const answer = await ask(deps, { name, path: '', method: 'POST', body })
      const id = text(answer, 'lease')
      return {
        value: new Secret(text(answer, 'value')),
        lease: id,
        expiresAt: instant(answer),
        end: async () => void (await ask(deps, { name, path: `/leases/${id}`, method: 'DELETE' })),
      }
    },
  }
}

/** It goes into a path as it stands, so it must mean nothing else there. */
function mustBeName(name: string): void {
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name) && !name.includes('..')) return
  throw new Fault('invalid_request', 'This is not the name of a secret.', { kind: 'secret_name' })
}

async function read(deps: SecretDeps, name: string, askedMs: number): Promise<Kept> {
  const answer = await ask(deps, { name, path: '', method: 'GET' })
  const { version, lease_seconds: seconds } = answer
  if (typeof version !== 'number' || typeof seconds !== 'number' || !(seconds > 0)) throw strange()
  const held = { value: new Secret(text(answer, 'value')), version, expiresAt: instant(answer) }
  return { held, freshUntilMs: askedMs + seconds * 500, goodUntilMs: askedMs + seconds * 1000 }
}

interface Asking {
  readonly name: string
  readonly path: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly body?: string
}

async function ask(deps: SecretDeps, { name, path, method, body }: Asking): Promise<JsonObject> {
  const resource = `${await deps.discovery.endpoint('vault')}/${name}`
  for (let attempt = 0; ; attempt += 1) {
    const answer = await authorizedFetch(deps, resource + path, {
      method,
      scope,
      resource,
      ...(body !== undefined && { body, headers: { 'content-type': 'application/json' } }),
    }).catch(unlessLost)
    if (answer?.status === 204) return {}
    const members = answer && (await readObject(answer))
    if (answer?.ok && members !== undefined) return members
    const fault = answer === undefined ? away() : refusalOf(members)
    const waitMs = waitsMs[attempt]
    // A lease whose answer was lost may have been made: asking again would make another.
    if (fault.code !== 'temporarily_unavailable' || waitMs === undefined || method === 'POST') throw fault
    await new Promise(resolve => setTimeout(resolve, waitMs))
  }
}

/** Only what fetch throws for a failed connection; a mistake of ours must not look like an outage. */
function unlessLost(error: unknown): undefined {
  if (!(error instanceof TypeError)) throw error
}

async function readObject(answer: Response): Promise<JsonObject | undefined> {
  const bytes = new Uint8Array(await answer.arrayBuffer())
  if (bytes.length > maxAnswerBytes) return undefined
  const read = readJsonObject(bytes)
  return 'problem' in read ? undefined : read.value
}

function refusalOf(members: JsonObject | undefined): Fault {
  const { code, detail } = members ?? {}
  if (typeof code !== 'string' || !Object.hasOwn(codes, code)) return strange()
  return new Fault(code as Code, typeof detail === 'string' ? detail : codes[code as Code].title, {
    kind: 'issuer_refused',
  })
}

function text(answer: JsonObject, member: string): string {
  const value = answer[member]
  if (typeof value !== 'string' || value === '') throw strange()
  return value
}

function instant({ expires_at: at }: JsonObject): number {
  const ms = typeof at === 'string' ? Date.parse(at) : Number.NaN
  if (!Number.isFinite(ms)) throw strange()
  return Math.floor(ms / 1000)
}

function away(): Fault {
  return new Fault('temporarily_unavailable', 'There is no answer from the vault; try again.', {
    kind: 'unreachable',
  })
}

function strange(): Fault {
  return new Fault('server_error', 'The vault answered in a form that is not its own.', {
    kind: 'strange_answer',
  })
}
