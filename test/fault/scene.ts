// A history under way, and what its steps are made of.
import { generateKeyPair, type KeyPair } from '@writ/sdk/protocol/jwk'
import type { Answer, Party } from '../harness/party.ts'
import type { World } from './world.ts'

/** A history under way: the world, and what earlier steps have made in it. */
export interface Scene extends World {
  /** Tells the things of this history from those of another one on the same store. */
  readonly mark: string
  readonly resource: string
  readonly ids: Map<string, string>
  readonly pairs: ReadonlyMap<string, KeyPair>
  readonly kept: Map<string, string>
}

export interface Step {
  readonly name: string
  readonly status: number
  /** What asking again answers where it has happened already; the same unless told. */
  readonly again?: number
  /** Asks once, with evidence that was never shown before. */
  ask(scene: Scene): Promise<Answer>
  /** Takes what later steps need out of the answer. */
  keep?(scene: Scene, answer: Answer): void
  /** Looks up what `keep` would have taken, where the answer that told it was lost. */
  find?(scene: Scene): Promise<Answer>
}

const pairNames = ['reporter', 'second', 'enrolled', 'successor', 'extra', 'client', 'stranger'] as const

export function sceneOf(world: World, mark: string): Scene {
  return {
    ...world,
    mark,
    resource: `https://api-${mark}.example`,
    ids: new Map(),
    pairs: new Map(pairNames.map(name => [name, generateKeyPair('ES256')])),
    kept: new Map(),
  }
}

export const idOf = ({ ids }: Scene, name: string): string => ids.get(name) ?? `nobody-made-${name}`
export const keptOf = ({ kept }: Scene, name: string): string => kept.get(name) ?? `nothing-kept-as-${name}`

/** The pair of that name. */
export function pairOf({ pairs }: Scene, name: (typeof pairNames)[number]): KeyPair {
  const pair = pairs.get(name)
  if (pair === undefined) throw new Error(`no pair ${name}`)
  return pair
}

/** The agent of that name, with the key of that name. */
export function partyOf(scene: Scene, agent: string, pair: (typeof pairNames)[number]): Party {
  return scene.party(
    idOf(scene, agent),
    pairOf(scene, pair).secret.reveal() as unknown as Record<string, unknown>,
  )
}

export const keepId =
  (name: string) =>
  ({ ids }: Scene, { body }: Answer): void =>
    void ids.set(name, body.items === undefined ? body.id : body.items[0].id)
