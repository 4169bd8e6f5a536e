// A denial that may be asked for (AuthZEN access request profile, "Requestable Denial Context"): what the answer says, and the token that binds it.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { isFault } from '@writ/sdk/protocol/fault'
import { type ApprovalId, newId, parseId } from '@writ/sdk/protocol/identifier'
import { parseJsonObject } from '@writ/sdk/protocol/json'
import type { Ctx } from '../context.ts'
import type { Asked } from '../domain/authorization/approval.ts'
import { bindingMembers, canonicalText, operationDigest } from '../domain/authorization/operation-digest.ts'
import type { Party, Question } from '../domain/authorization/question.ts'
import type { Decided } from './decided.ts'

/** Below the issuer. */
export const accessRequestPath = '/access/v1/access-requests'

/** The MAC of the tenant, shared by its nodes; and strong randomness. */
export interface BindingDeps {
  readonly keys: { nonceMac(scope: Pick<Ctx, 'tenant'>, input: string): Uint8Array }
  readonly randomBytes: (length: number) => Uint8Array
}

/** The objects of an evaluation as the enforcement point wrote them. */
export interface Wire {
  readonly subject: Readonly<Record<string, unknown>>
  readonly action: Readonly<Record<string, unknown>>
  readonly resource: Readonly<Record<string, unknown>>
  readonly context: Readonly<Record<string, unknown>>
}

export interface Denial {
  readonly question: Question
  readonly wire: Wire
  readonly decided: Decided
  /** The caller that was answered: nobody else may file it. */
  readonly askedBy: string
  /** Names this evaluation, and its request in the log ("Evaluation Identifier"). */
  readonly evaluation: string
}

/** As it stands in `context.access_request`. */
export interface AccessRequest {
  readonly endpoint: string
  readonly template: 'smallest_grant' | 'approval'
  readonly expires_at: string
  readonly binding_token: string
  readonly display: Readonly<Record<string, unknown>>
}

/** How long a denial may be filed. */
const freshSeconds = 600
const longestToken = 32_768

/**
 * The request that would resolve this denial; undefined where none would. What lacks is a grant, or an approval that a
 * policy asks for: nobody can approve away a halt, a suspension, a policy's other words or a spent budget.
 */
export function accessRequestOf(ctx: Ctx, deps: BindingDeps, denial: Denial): AccessRequest | undefined {
  const { question, decided } = denial
  const reach = reachOf(denial)
  if (reach === undefined) return undefined
  const expiresAt = ctx.now + freshSeconds
  const payload: Binding = {
    jti: newId('apr', deps.randomBytes),
    iss: ctx.issuer,
    aud: ctx.issuer + accessRequestPath,
    pep: denial.askedBy,
    iat: ctx.now,
    exp: expiresAt,
    evaluation_id: denial.evaluation,
    ...bound(denial.wire),
    asked: {
      ...reach,
      person: personOf(question),
      operation: {
        action: question.operation.action,
        object: question.operation.object,
        digest: operationDigest(question),
        parties: [question.subject, ...question.chain].flatMap(idsOf),
      },
    },
  }
  const template = decided.smallest === null ? 'approval' : 'smallest_grant'
  const { agent, resource, scopes, authorizationDetails } = reach
  return {
    endpoint: ctx.issuer + accessRequestPath,
    template,
    expires_at: new Date(expiresAt * 1000).toISOString(),
    binding_token: sealed(ctx, deps, payload),
    display: {
      title: 'This needs approval',
      // An extension of ours, named by a URI as the profile has it ("Naming Extensions").
      'urn:writ:smallest-grant': { agent, resource, scopes, authorization_details: authorizationDetails },
    },
  }
}

/** What a grant or an approval may help against. */
const helped: ReadonlySet<string> = new Set(['grant', 'details', 'approval'])

type Reach = Pick<Asked, 'agent' | 'instance' | 'resource' | 'scopes' | 'authorizationDetails'>

function reachOf({ question, decided }: Denial): Reach | undefined {
  const { refusal, smallest, allowed } = decided
  if (allowed || refusal === null || question.foreign !== null) return undefined
  // What cannot be verified is told to nobody as a reason to ask again.
  if (!helped.has(refusal.by) || refusal.rule === 'approval_unverifiable') return undefined
  const granted = smallest === null ? undefined : agentOf(question, smallest.agent)
  if (smallest !== null && granted !== undefined) {
    const { resource, scopes, authorizationDetails = [] } = smallest
    return { ...granted, resource, scopes, authorizationDetails }
  }
  if (refusal.by !== 'approval') return undefined
  const agent = agentOf(question, refusal.party) ?? agentOf(question, question.subject.id)
  return agent && { ...agent, resource: question.operation.resource, scopes: [], authorizationDetails: [] }
}

function agentOf({ subject, chain }: Question, id: string): Pick<Asked, 'agent' | 'instance'> | undefined {
  const party = [subject, ...chain].find(one => one.kind === 'agent' && one.id === id)
  return party?.kind === 'agent' ? { agent: party.id, instance: party.instance } : undefined
}

function idsOf(party: Party): readonly string[] {
  return party.kind === 'agent' && party.instance !== null ? [party.id, party.instance] : [party.id]
}

function personOf({ subject, chain }: Question): Asked['person'] {
  const isPerson = (party: Party) => party.kind === 'person'
  const party = [...chain, subject].find(isPerson)
  return party?.kind === 'person' ? party.id : null
}

/** What a binding token says ("Binding Token Integrity"). The enforcement point may read it; it cannot make one. */
export interface Binding {
  /** The task that filing it makes: filed twice, it is the same task. */
  readonly jti: ApprovalId
  readonly iss: string
  readonly aud: string
  readonly pep: string
  readonly iat: number
  /** The end of the denial as well: `denial.expires_at` is no other. */
  readonly exp: number
  readonly evaluation_id: string
  /** The members of the context that are bound ("Authorization-Relevant Context"). */
  readonly binding_context_members: readonly string[]
  /** Over everything that is bound. */
  readonly binding_hash: string
  readonly asked: Omit<Asked, 'seconds' | 'eligibility'> & { readonly operation: Asked['operation'] & object }
}

function bound(
  wire: Wire,
  members = bindingMembers(wire.context),
): Pick<Binding, 'binding_context_members' | 'binding_hash'> {
  const context = Object.fromEntries(
    members.filter(name => Object.hasOwn(wire.context, name)).map(name => [name, wire.context[name]]),
  )
  const { action, resource } = wire
  const text = canonicalText({ subject: withoutActor(wire.subject), resource, action, context })
  return {
    binding_context_members: members,
    binding_hash: createHash('sha256').update(text).digest('base64url'),
  }
}

/** "Binding Token Integrity": an enforcement point may move the actor to `client.actor`. */
function withoutActor(subject: Wire['subject']): unknown {
  const { properties, ...rest } = subject
  if (typeof properties !== 'object' || properties === null) return subject
  const { act: _actor, ...kept } = properties as Record<string, unknown>
  return { ...rest, properties: kept }
}

/** Whether a submission is about the denied evaluation; members that were added to its context later do not matter. */
export function isAbout(binding: Binding, wire: Wire): boolean {
  return bound(wire, binding.binding_context_members).binding_hash === binding.binding_hash
}

/** What the token binds, or why it binds nothing here. Throws nothing: whatever is no token of ours is `invalid`. */
export function readBinding(
  ctx: Ctx,
  { keys }: Pick<BindingDeps, 'keys'>,
  token: unknown,
): Binding | 'invalid' | 'expired' {
  if (typeof token !== 'string' || token.length > longestToken) return 'invalid'
  const [payload = '', mac = '', ...more] = token.split('.')
  if (more.length > 0) return 'invalid'
  const good = Buffer.from(macOf(ctx, keys, payload))
  const shown = Buffer.from(mac)
  if (good.length !== shown.length || !timingSafeEqual(good, shown)) return 'invalid'
  const binding = parsed(payload)
  // Made by this tenant, but for another issuer or for another purpose of the same key.
  if (binding === undefined || binding.iss !== ctx.issuer || binding.aud !== ctx.issuer + accessRequestPath)
    return 'invalid'
  return ctx.now >= binding.exp ? 'expired' : binding
}

function parsed(payload: string): Binding | undefined {
  try {
    const value = parseJsonObject(Buffer.from(payload, 'base64url').toString(), { maxBytes: longestToken })
    return value !== undefined && parseId('apr', value['jti']) !== undefined
      ? (value as unknown as Binding)
      : undefined
  } catch (error) {
    if (isFault(error)) return undefined
    throw error
  }
}

function sealed(ctx: Ctx, { keys }: Pick<BindingDeps, 'keys'>, binding: Binding): string {
  const payload = Buffer.from(JSON.stringify(binding)).toString('base64url')
  return `${payload}.${macOf(ctx, keys, payload)}`
}

function macOf(ctx: Ctx, keys: BindingDeps['keys'], payload: string): string {
  // A key of its own: what is asked of the shared one is remembered there, and every payload is another.
  return createHmac('sha256', keys.nonceMac(ctx, 'denial-binding')).update(payload).digest('base64url')
}

/** Why a denial that may be filed is one ("PDP Processing Rules"). */
const requestable = 'approval_required'

/**
 * What a denial says beside the decision: which evaluation it was and why, where it may be filed; and of an evaluation
 * that showed an approval what the enforcement point is to do next ("Completion Semantics"). Undefined for neither.
 */
export function denialContext(
  ctx: Ctx,
  { question, decided, evaluation }: Pick<Denial, 'question' | 'decided' | 'evaluation'>,
  request: AccessRequest | undefined,
): object | undefined {
  if (decided.allowed || decided.refusal === null) return undefined
  const isRequestable = request !== undefined
  const isAgain = question.context.approval !== null
  if (!isRequestable && !isAgain) return undefined
  const { by, rule } = decided.refusal
  const reasonAgain = by === 'approval' ? rule : isRequestable ? 'out_of_scope' : 'policy_denied'
  return {
    evaluation_id: evaluation,
    evaluated_at: new Date(ctx.now * 1000).toISOString(),
    reason: isAgain ? reasonAgain : requestable,
    ...(isAgain ? { next_action: isRequestable ? 'request' : 'none' } : {}),
    ...(isRequestable ? { access_request: request } : {}),
  }
}
