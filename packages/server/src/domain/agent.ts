// Agents, their running instances and their keys: records, and the moves their states allow.

import type { AgentId, ClientId, InstanceId, PersonId } from '@writ/sdk/protocol/identifier'
import type { PublicJwk } from '@writ/sdk/protocol/jwk'

export type AgentStatus = 'active' | 'suspended' | 'retired'

/** An agent: the OAuth client, and the subject of what it does for itself. Its id is never used again. */
export interface Agent {
  readonly id: AgentId
  readonly name: string
  /** A person, or the operator's agent. */
  readonly owner: PersonId | AgentId
  readonly purpose: string
  /** OIDC-A `agent_type`, `agent_model`, `agent_provider`, `agent_version`. */
  readonly kind: string | null
  readonly model: string | null
  readonly provider: string | null
  readonly softwareVersion: string | null
  readonly labels: Readonly<Record<string, string>>
  readonly status: AgentStatus
  readonly statusReason: string | null
  readonly statusAt: number
  readonly expiresAt: number | null
  readonly createdAt: number
  readonly updatedAt: number
}

/** One running copy of an agent; holds exactly one live key, through all its rotations. */
export interface Instance {
  readonly id: InstanceId
  readonly agent: AgentId
  readonly createdAt: number
  /** Hash of the enrolment token it came by; null where an administrator registered its key. */
  readonly enrollment: string | null
}

export type KeyState = 'staged' | 'active' | 'retiring' | 'retired' | 'revoked'

/** A public key of an instance, or of another OAuth client (then `instance` is null). */
export interface Key {
  /** RFC 7638 SHA-256 thumbprint; unique in the tenant for all time, so a key names one holder for ever. */
  readonly thumbprint: string
  /** As the holder names it in JOSE headers; the thumbprint where it gave none. Unique within the owner. */
  readonly kid: string
  readonly owner: AgentId | ClientId
  readonly instance: InstanceId | null
  readonly jwk: PublicJwk
  readonly state: KeyState
  readonly notBefore: number
  /** From this instant on the key proves nothing. */
  readonly expiresAt: number | null
  readonly createdAt: number
  readonly stateAt: number
  readonly stateReason: string | null
  /** When its holder was asked to replace it; absent or null where nobody has asked. */
  readonly askedAt?: number | null
}

/** Where and when a key was last used to authenticate; kept apart from the key, which rarely changes. */
export interface KeyUse {
  readonly lastUsedAt: number
  readonly lastUsedFrom: string | null
}

export type AgentMove = 'suspend' | 'resume' | 'retire'

const agentMoves: Readonly<
  Record<AgentMove, { readonly from: readonly AgentStatus[]; readonly to: AgentStatus }>
> = {
  suspend: { from: ['active'], to: 'suspended' },
  resume: { from: ['suspended'], to: 'active' },
  // Retirement is final: a retired agent stays resolvable for the audit and never authenticates again.
  retire: { from: ['active', 'suspended'], to: 'retired' },
}

/** The agent after the move, or undefined where its status does not allow it. */
export function moveAgent(agent: Agent, move: AgentMove, reason: string, at: number): Agent | undefined {
  const { from, to } = agentMoves[move]
  if (!from.includes(agent.status)) return undefined
  return { ...agent, status: to, statusReason: reason, statusAt: at, updatedAt: at }
}

/** Whether the agent may obtain or use anything at this instant. */
export function isAgentLive(agent: Agent, now: number): boolean {
  return agent.status === 'active' && (agent.expiresAt === null || now < agent.expiresAt)
}

/** Whether the key proves its holder at this instant: `active` or `retiring`, inside its window. */
export function isKeyLive(key: Key, now: number): boolean {
  if (key.state !== 'active' && key.state !== 'retiring') return false
  return key.notBefore <= now && (key.expiresAt === null || now < key.expiresAt)
}

/** The predecessor of a rotated key: it stays good until it is drained, or its own time is over. */
export function retireKey(key: Key, at: number): Key {
  return { ...key, state: 'retiring', stateAt: at, stateReason: 'rotated', askedAt: null }
}

type Named = Pick<Key, 'kid' | 'thumbprint'>

/**
 * Whether no other key of the owner is named like this one. A key is found by its kid and by its thumbprint: whoever
 * gave their key the thumbprint of another as its name would have that one revoked in their place.
 */
export function isNameFree({ kid, thumbprint }: Named, others: readonly Named[]): boolean {
  return others.every(
    other =>
      other.thumbprint === thumbprint ||
      (other.kid !== kid && other.thumbprint !== kid && other.kid !== thumbprint),
  )
}

/** The key that is meant: the one of this thumbprint, else the one of this name. */
export function keyNamed<K extends Named>(keys: readonly K[], name: string): K | undefined {
  return keys.find(({ thumbprint }) => thumbprint === name) ?? keys.find(({ kid }) => kid === name)
}

/** The key after revocation, or undefined where it is already dead: death is final (property 8). */
export function revokeKey(key: Key, reason: string, at: number): Key | undefined {
  if (key.state === 'revoked' || key.state === 'retired') return undefined
  return { ...key, state: 'revoked', stateAt: at, stateReason: reason }
}
