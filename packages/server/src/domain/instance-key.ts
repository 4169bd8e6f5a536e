// The rotation of an instance's key: asked for by the authority, or begun by the instance itself.
import type { RotationId } from '@writ/sdk/protocol/identifier'
import type { Key } from './agent.ts'
import { newRotation, type Rotation } from './rotation.ts'

/** The subject of the signal that asks an instance to rotate its key. */
export function askOf(instance: string): string {
  return `rotate:${instance}`
}

export interface InstanceKeyRotation {
  readonly id: RotationId
  readonly instance: string
  /** The owner of its agent. */
  readonly owner: string | null
  readonly key: Pick<Key, 'thumbprint'>
  readonly reason: string
  readonly batch: string | null
  readonly limitAt: number
}

export function instanceKeyRotation(about: InstanceKeyRotation, at: number): Rotation {
  const { id, instance, owner, key, reason, batch, limitAt } = about
  const common = { id, owner, reason, batch, limitAt, from: key.thumbprint }
  return newRotation({ ...common, kind: 'instance_key', target: instance, proof: 'last_use' }, at)
}
