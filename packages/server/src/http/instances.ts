// Enrolment and self-service rotation of an instance's key: JSON in, JSON out.
import { Fault } from '@writ/sdk/protocol/fault'
import { parsePublicJwk } from '@writ/sdk/protocol/jwk'
import { shown } from '../admin/wire.ts'
import type { Key } from '../domain/agent.ts'
import { enroll } from '../protocol/enrollment.ts'
import { rekey } from '../protocol/rekey.ts'
import { readJson } from './body.ts'
import { singleProof } from './oauth.ts'
import { json, published, type Route } from './route.ts'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** The members named, and no others: an unknown one is refused by its name (contract of the management API). */
function exactly(body: Record<string, unknown>, members: readonly string[]): void {
  for (const name of Object.keys(body)) {
    if (!members.includes(name)) {
      throw new Fault('invalid_request', `Unknown member: ${shown(name)}.`, { kind: 'unknown_member' })
    }
  }
}

function text(body: Record<string, unknown>, name: string, maxLength: number): string {
  const value = body[name]
  if (typeof value === 'string' && value.length > 0 && value.length <= maxLength) return value
  throw new Fault('invalid_request', `${name} must be a string of 1 to ${maxLength} characters.`, {
    kind: 'member',
    member: name,
  })
}

const instant = (at: number | null): string | null => (at === null ? null : new Date(at * 1000).toISOString())

const keyOf = (key: Pick<Key, 'kid' | 'notBefore' | 'expiresAt'>) => ({
  kid: key.kid,
  not_before: instant(key.notBefore),
  expires_at: instant(key.expiresAt),
})

const enrollRoute: Route = {
  name: 'enroll',
  method: 'POST',
  path: '/enroll',
  face: 'problem',
  cors: false,
  publishedAs: { writ: 'enrollment_endpoint' },
  async handle(ctx, deps, request) {
    const body = await readJson(request, deps.config.maxBodyBytes)
    exactly(body, ['token', 'jwk'])
    const enrolled = await enroll(ctx, deps, {
      token: text(body, 'token', 256),
      jwk: parsePublicJwk(body['jwk']),
      proof: singleProof(request),
      method: request.method,
      uri: published(ctx.issuer, this.path),
    })
    const answer = json(
      {
        client_id: enrolled.agent,
        instance: enrolled.instance,
        issuer: ctx.issuer,
        key: keyOf(enrolled.key),
      },
      'never',
      201,
    )
    answer.headers.set('location', published(ctx.issuer, `/api/v1/agents/${enrolled.agent}/instances`))
    return answer
  },
}

const rekeyRoute: Route = {
  name: 'rekey',
  method: 'POST',
  path: '/rekey',
  face: 'problem',
  cors: false,
  publishedAs: { writ: 'key_rotation_endpoint' },
  async handle(ctx, deps, request) {
    const body = await readJson(request, deps.config.maxBodyBytes)
    exactly(body, ['client_assertion_type', 'client_assertion', 'jwk'])
    if (text(body, 'client_assertion_type', 128) !== assertionType) {
      throw new Fault('invalid_client', 'The client could not be authenticated.', { kind: 'assertion_type' })
    }
    const rekeyed = await rekey(ctx, deps, {
      assertion: text(body, 'client_assertion', 8192),
      jwk: parsePublicJwk(body['jwk']),
      proof: singleProof(request),
      method: request.method,
      uri: published(ctx.issuer, this.path),
    })
    return json({
      client_id: rekeyed.agent,
      instance: rekeyed.instance,
      issuer: ctx.issuer,
      key: keyOf(rekeyed.key),
      previous: { kid: rekeyed.previous.kid, expires_at: instant(rekeyed.previous.expiresAt) },
    })
  },
}

export const instanceRoutes: readonly Route[] = [enrollRoute, rekeyRoute]
