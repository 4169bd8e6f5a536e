// The issuer's public keys: fetched once for all, again when one is unknown, never at the pace of whoever sends tokens.
import { isFault } from '../../protocol/fault.ts'
import { importForeign, type VerifyKey } from '../../protocol/jwk.ts'
import type { Clock } from '../clock.ts'
import { fetchDocument } from './document.ts'

export interface IssuerKeysOptions {
  /** The address of the JWK Set; undefined before discovery has succeeded. */
  locate(): { readonly jwksUri: string; readonly cacheMs: number } | undefined
  readonly fetch: typeof fetch
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Whether the issuer has cut the key of this id: somebody else may sign with it, and any epoch. */
  isCut(kid: string): boolean
  onTrouble(problem: unknown): void
}

export interface IssuerKeys {
  /** Moves whenever a key came, went or changed. */
  generation(): number
  /** The key of this id among those known now; undefined also when they are too old to be believed. */
  known(kid: string): VerifyKey | undefined
  /** The ids of the keys known now. */
  kids(): Iterable<string>
  /**
   * The same, after asking the issuer once more as soon as that is due again: a key that it has just published is
   * found, late rather than never.
   */
  find(kid: string): Promise<VerifyKey | undefined>
  /** Lets go of keys that were cut meanwhile, without asking the issuer. */
  dropCut(): void
  /** Whether keys have been read recently enough to be believed. */
  isCurrent(): boolean
  /** Whether a cache period has passed since they were read. */
  isDue(): boolean
  /** Reads them anew, at once or as soon as it is due; together with whoever else asks; never throws. */
  refresh(): Promise<void>
}

/** Between two reads, so that tokens with made-up key ids do not become a flood at the issuer. */
const leastMs = 3000
/** How many requests wait for the next read; more with unknown keys are refused at once. */
const mostWaiting = 1000
/** How many cache periods keys are believed without a successful read. */
const patience = 5
const maxKeys = 64

export function issuerKeys(options: IssuerKeysOptions): IssuerKeys {
  const { clock } = options
  let keys: ReadonlyMap<string, VerifyKey> = new Map()
  let generation = 0
  let readAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let inFlight: Promise<void> | undefined
  let waiting = 0

  const isCurrent = (): boolean => {
    const place = options.locate()
    return place !== undefined && clock.steadyMs() - readAt <= patience * place.cacheMs
  }

  const known = (kid: string): VerifyKey | undefined => (isCurrent() ? keys.get(kid) : undefined)

  const adopt = (next: ReadonlyMap<string, VerifyKey>): void => {
    // A copy of the JWK Set that a cache kept may still hold it.
    const sound = new Map([...next].filter(([kid]) => !options.isCut(kid)))
    if (!sameKeys(keys, sound)) generation += 1
    keys = sound
  }

  const read = async (jwksUri: string): Promise<void> => {
    triedAt = clock.steadyMs()
    try {
      adopt(readKeys(await fetchDocument(jwksUri, options)))
      readAt = triedAt
    } catch (problem) {
      if (!options.signal.aborted) options.onTrouble(problem)
    }
  }

  const refresh = (): Promise<void> => {
    const place = options.locate()
    if (place === undefined || options.signal.aborted) return Promise.resolve()
    inFlight ??= readWhenDue(place).finally(() => {
      inFlight = undefined
    })
    return inFlight
  }

  const readWhenDue = async (place: {
    readonly jwksUri: string
    readonly cacheMs: number
  }): Promise<void> => {
    const waitMs = triedAt + Math.min(leastMs, place.cacheMs) - clock.steadyMs()
    if (waitMs > 0) await new Promise<void>(resolve => void setTimeout(resolve, waitMs).unref())
    await read(place.jwksUri)
  }

  return {
    generation: () => generation,
    known,
    kids: () => keys.keys(),
    dropCut: () => adopt(keys),
    isCurrent,
    isDue: () => clock.steadyMs() - readAt > (options.locate()?.cacheMs ?? Number.POSITIVE_INFINITY),
    refresh,
    async find(kid) {
      const key = known(kid)
      if (key !== undefined || waiting >= mostWaiting) return key
      waiting += 1
      await refresh().finally(() => {
        waiting -= 1
      })
      return known(kid)
    },
  }
}

/** RFC 7517 §5: keys that are not understood are skipped; RFC 8725 §3.1: one id, one key, or no key at all. */
function readKeys(document: Readonly<Record<string, unknown>>): ReadonlyMap<string, VerifyKey> {
  const list = document['keys']
  if (!Array.isArray(list) || list.length > maxKeys)
    throw new Error('the JWK Set of the issuer is not one, or too large')
  const keys = new Map<string, VerifyKey>()
  const ambiguous = new Set<string>()
  for (const item of list) {
    const key = importOrSkip(item)
    const kid = key?.jwk.kid
    if (key === undefined || kid === undefined) continue
    if (keys.has(kid)) ambiguous.add(kid)
    keys.set(kid, key)
  }
  for (const kid of ambiguous) keys.delete(kid)
  return keys
}

function importOrSkip(item: unknown): VerifyKey | undefined {
  try {
    return importForeign(item, 'issuer')
  } catch (error) {
    if (isFault(error)) return undefined
    throw error
  }
}

const sameKeys = (a: ReadonlyMap<string, VerifyKey>, b: ReadonlyMap<string, VerifyKey>): boolean =>
  a.size === b.size && [...a].every(([kid, { jkt }]) => b.get(kid)?.jkt === jkt)
