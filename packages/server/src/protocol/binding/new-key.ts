// Possession of a key that is being registered: the proof must be made with that very key (RFC 9449 §4.3).
import { Fault } from '@writ/sdk/protocol/fault'
import { type PublicJwk, thumbprint } from '@writ/sdk/protocol/jwk'
import type { Ctx } from '../../context.ts'
import { isNameFree, type Key } from '../../domain/agent.ts'
import type { Deps } from '../deps.ts'
import { type Binding, bind, noProof } from './dpop.ts'

export interface NewKey {
  readonly jwk: PublicJwk
  readonly proof: string | undefined
  readonly method: string
  readonly uri: string
}

/** Throws `invalid_dpop_proof` unless the request proves possession of the key it brings. */
export function bindNewKey(ctx: Ctx, deps: Deps, { jwk, proof, method, uri }: NewKey): Binding {
  if (proof === undefined) throw noProof()
  const binding = bind(ctx, deps, { method, uri, proof, nonce: 'optional' })
  if (binding.jkt === thumbprint(jwk)) return binding
  throw new Fault('invalid_dpop_proof', 'The proof must be made with the key that is registered.', {
    kind: 'other_key',
  })
}

type Named = Pick<Key, 'kid' | 'thumbprint'>

/** Throws `conflict` where another key of the owner is named like this one. Its holder chose the name, so it is judged. */
export function mustHaveOwnName(key: Named, others: readonly Named[]): void {
  if (isNameFree(key, others)) return
  throw new Fault('conflict', 'A key of this name exists already; give it another kid.', {
    kind: 'kid_taken',
  })
}
