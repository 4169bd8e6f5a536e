// RFC 6749 §4.4 with RFC 8707 and RFC 9396: an agent obtains a token for itself, for one resource, from its own grants.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import { parseDetails } from '@writ/sdk/protocol/details/index'
import { Fault } from '@writ/sdk/protocol/fault'
import { readJson } from '@writ/sdk/protocol/json'
import { parseScope } from '@writ/sdk/protocol/scope'
import { canonicalResource } from '@writ/sdk/protocol/uri'
import type { Ctx } from '../../context.ts'
import type { Agent, Key } from '../../domain/agent.ts'
import { excerpt } from '../../domain/audit-entry.ts'
import type { Halt } from '../../domain/authorization/halt.ts'
import {
  type Asked,
  isRefused,
  type Narrowed,
  narrow,
  type Refused,
} from '../../domain/authorization/narrowing.ts'
import { type Grant, isGrantLive, mostGrants } from '../../domain/grant.ts'
import { type Issuance, lifetime } from '../../domain/issuance.ts'
import type { Resource } from '../../domain/resource.ts'
import type { CallerFacts } from '../../store/store.ts'
import { noProof } from '../binding/dpop.ts'
import { standingOf } from '../client-auth/admit.ts'
import { one } from '../evidence.ts'
import type { GrantRequest, GrantType, Reads } from './grant.ts'
import { tooMuch } from './issue.ts'

/** More would not fit a token. */
const maxDetailsBytes = 16_384

export const clientCredentials: GrantType = {
  type: 'client_credentials',
  repeatable: ['resource'],

  async decide(ctx, deps, request) {
    const { facts, agent, by } = request.proven
    if (agent === undefined || by.key === null) {
      throw new Fault('unauthorized_client', 'Only agents obtain tokens for themselves.', {
        kind: 'not_an_agent',
      })
    }
    const resource = await findResource(ctx, deps, request, facts)
    const asked = {
      scopes: askedScopes(one(request.form, 'scope')),
      details: askedDetails(one(request.form, 'authorization_details')),
    }
    const { halts } = await deps.store.facts.governing(ctx, { fresh: request.fresh })
    const narrowed = narrowUnhalted(resource, facts.grants, asked, { halts, now: ctx.now })
    if (isRefused(narrowed)) throw notGranted(narrowed, resource)
    // Those that raced to be given are more than one alone may be.
    if (narrowed.grants.length > mostGrants) throw tooMuch('too_many_grants')
    // Those of several grants together may be more than anybody reads: each call with such a token would be refused.
    if ('problem' in parseDetails(narrowed.details)) throw tooMuch('too_many_details')
    if (request.binding === undefined && !resource.bearerAllowed) throw noProof()
    const seconds = lifetime(deps.settings.accessTokenSeconds, ctx.now, [narrowed.expiresAt, agent.expiresAt])
    const grants = narrowed.grants.map(grant => grant.id)
    return {
      grantType: 'client_credentials',
      holder: holderOf(agent, by.key),
      audience: resource.identifier,
      scopes: narrowed.scopes,
      authorizationDetails: narrowed.details,
      needsDecision: narrowed.needsDecision,
      grants,
      lifetimeSeconds: seconds,
      boundTo: request.binding?.jkt ?? null,
      claims:
        request.binding === undefined
          ? request.proven.claims
          : [...request.proven.claims, request.binding.claim],
      takes: [],
      bases: [
        { epoch: facts.epoch, subjects: [...standingOf(request.proven), ...grants] },
        { epoch: resource.epoch, subjects: [resource.identifier] },
      ],
      rule: 'client_credentials',
      isKeyRotationAsked: by.key.askedAt != null,
    }
  },
}

/**
 * A grant that is halted is passed over where others give what is asked for. Where none do it is named all the same, so
 * that the refusal is about the halt.
 */
function narrowUnhalted(
  resource: Resource,
  grants: readonly Grant[],
  asked: Asked,
  { halts, now }: { readonly halts: readonly Halt[]; readonly now: number },
): Narrowed | Refused {
  const halted = new Set(
    halts.filter(({ kind, liftedAt }) => kind === 'grant' && liftedAt === null).map(({ target }) => target),
  )
  const narrowed = narrow(
    resource,
    grants.filter(({ id }) => !halted.has(id)),
    asked,
    now,
  )
  return isRefused(narrowed) && halted.size > 0 ? narrow(resource, grants, asked, now) : narrowed
}

async function findResource(
  ctx: Ctx,
  deps: Reads,
  request: GrantRequest,
  facts: CallerFacts,
): Promise<Resource & { readonly epoch: number }> {
  const named = new Set<string>()
  for (const text of request.form.get('resource') ?? []) {
    const identifier = canonicalResource(text)
    if (identifier === undefined) throw target('not_a_resource_indicator', text)
    named.add(identifier)
  }
  // One audience a token (RFC 9700 §2.3): two spellings of one resource are one, two resources are refused.
  if (named.size > 1) throw target('several_resources')
  const [identifier] = named.size === 1 ? named : onlyResource(facts, ctx.now)
  if (identifier === undefined) throw target('no_resource')
  const resource = await deps.store.facts.resource(ctx, identifier, { fresh: request.fresh })
  if (resource === undefined) throw target('unknown_resource', identifier)
  return resource
}

/** The default where no resource is named: the only one the agent has a grant for. */
function onlyResource(facts: CallerFacts, now: number): ReadonlySet<string> {
  const resources = new Set(
    facts.grants.filter(grant => isGrantLive(grant, now)).map(grant => grant.resource),
  )
  return resources.size === 1 ? resources : new Set()
}

const sayTarget: Readonly<Record<string, string>> = {
  not_a_resource_indicator: 'resource must be an absolute URI without a fragment.',
  several_resources: 'Ask for one resource at a time.',
  no_resource: 'Name the resource: this agent has grants for none or for several.',
  unknown_resource: 'The resource is not registered here.',
}

function target(kind: string, resource?: string): Fault {
  return new Fault('invalid_target', sayTarget[kind] ?? 'The resource is not acceptable.', { kind, resource })
}

function askedScopes(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined
  const scopes = parseScope(text)
  if (scopes === undefined)
    throw new Fault('invalid_scope', 'scope is malformed.', { kind: 'malformed_scope' })
  return scopes
}

// RFC 9396 §5, and §6.1: a request for details is narrowed to nothing silently.
function askedDetails(text: string | undefined): readonly AuthorizationDetail[] | undefined {
  if (text === undefined) return undefined
  const given = readJson(text, { maxBytes: maxDetailsBytes })
  const parsed = 'value' in given ? parseDetails(given.value) : { problem: `is no JSON: ${given.problem}` }
  if ('problem' in parsed) throw unacceptable(`authorization_details ${parsed.problem}.`, 'malformed_details')
  // Nothing asked for is said by leaving it out; an empty list reads as "no limit" to some.
  if (parsed.length === 0) throw unacceptable('authorization_details is empty.', 'no_details')
  return parsed
}

const unacceptable = (say: string, kind: string): Fault =>
  new Fault('invalid_authorization_details', say, { kind })

function notGranted(refusal: Refused, { identifier }: Resource): Fault {
  if ('refusedDetails' in refusal) {
    const say =
      'The authorization details are not granted for this resource, or not all by grants of one kind.'
    return new Fault('invalid_authorization_details', say, { kind: 'not_granted', resource: identifier })
  }
  if ('scopeNeeded' in refusal)
    return new Fault('invalid_scope', 'Name a scope: none of them is given by default.', {
      kind: 'scope_needed',
      resource: identifier,
    })
  const named = excerpt(refusal.refused, 128)
  return new Fault('invalid_scope', `The scope ${named} is not granted for this resource.`, {
    kind: 'not_granted',
    scope: refusal.refused,
    resource: identifier,
  })
}

function holderOf(agent: Agent, key: Key): Issuance['holder'] {
  const claims: Record<string, string> = {}
  // OIDC-A §2.1. No delegator is ever made up: an agent that acts for itself has none.
  if (agent.kind !== null) claims['agent_type'] = agent.kind
  if (agent.model !== null) claims['agent_model'] = agent.model
  if (agent.softwareVersion !== null) claims['agent_version'] = agent.softwareVersion
  if (agent.provider !== null) claims['agent_provider'] = agent.provider
  return {
    client: agent.id,
    subject: agent.id,
    instance: key.instance,
    key: key.thumbprint,
    agentClaims: claims,
  }
}
