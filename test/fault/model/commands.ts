// The commands of a history: each does one thing to the authority and to the model, and compares what they say.
import assert from 'node:assert/strict'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import fc from 'fast-check'
import { expect } from '../../harness/agent.ts'
import { answerOf } from '../../harness/party.ts'
import { type Command, command, pick } from './command.ts'
import {
  endTokens,
  isAgentLive,
  isKeyLive,
  leafNames,
  type Model,
  type ModelAgent,
  type ModelKey,
  mustBeInstance,
  namesOf,
  rescope,
} from './model.ts'
import {
  giveTo,
  grantGiven,
  keySeconds,
  manage,
  mustBeNew,
  partyFor,
  type Real,
  scopesGiven,
} from './real.ts'
import { tokenCommands } from './token-commands.ts'

const reason = { reason: 'Model' }

const moves = {
  suspend: { from: ['active'], to: 'suspended' },
  resume: { from: ['suspended'], to: 'active' },
  retire: { from: ['active', 'suspended'], to: 'retired' },
} as const

const move = (at: number, verb: keyof typeof moves): Command =>
  command(`${verb}(${at})`, async (model, real) => {
    const agent = pick(model.agents, at)
    const { from, to } = moves[verb]
    const isPossible = (from as readonly string[]).includes(agent.status)
    expect(await manage(real, 'POST', `/agents/${agent.id}/${verb}`, reason), isPossible ? 200 : 409)
    if (!isPossible) return
    agent.status = to
    if (verb !== 'resume') endTokens(model, token => token.agent === agent)
  })

const give = (at: number, where: number, scopes: readonly string[], seconds: number | null): Command =>
  command(`give(${at}, ${where}, ${scopes}, ${seconds})`, async (model, real) => {
    const [agent, resource] = [pick(model.agents, at), pick(model.resources, where)]
    const expiresAt = seconds === null ? null : model.now() + seconds
    const given = { agent, resource, scopes, expiresAt }
    const isPossible =
      agent.status !== 'retired' && resource.id !== null && scopes.every(name => resource.names.has(name))
    if (isPossible) model.grants.push(await giveTo(real, given))
    else expect(await manage(real, 'POST', '/grants', grantGiven(given)), 422)
  })

const takeBack = (at: number): Command => ({
  check: ({ grants }) => grants.length > 0,
  async run(model, real) {
    const grant = pick(model.grants, at)
    expect(await manage(real, 'DELETE', `/grants/${grant.id}`), 204)
    grant.isEnded = true
    endTokens(model, token => token.grants.includes(grant))
  },
  toString: () => `takeBack(${at})`,
})

const shorten = (at: number, seconds: number): Command =>
  command(`shorten(${at}, ${seconds})`, async (model, real) => {
    const agent = pick(model.agents, at)
    const expiresAt = model.now() + seconds
    const body = { expires_at: new Date(expiresAt * 1000).toISOString() }
    const isPossible = agent.status !== 'retired'
    expect(await manage(real, 'PATCH', `/agents/${agent.id}`, body), isPossible ? 200 : 409)
    if (!isPossible) return
    if (agent.expiresAt === null || expiresAt < agent.expiresAt)
      endTokens(model, token => token.agent === agent)
    agent.expiresAt = expiresAt
  })

const revokeKey = (at: number, which: number): Command =>
  command(`revokeKey(${at}, ${which})`, async (model, real) => {
    const agent = pick(model.agents, at)
    const key = pick(agent.keys, which)
    const path = `/agents/${agent.id}/keys/${key.pair.verify.jkt}/revoke`
    expect(await manage(real, 'POST', path, reason), key.state === 'revoked' ? 409 : 200)
    key.state = 'revoked'
    endTokens(model, token => token.key === key)
  })

/** The key of the new instance that an enrolment has made. */
function enrolled(
  model: Model,
  real: Real,
  agent: ModelAgent,
  made: Pick<ModelKey, 'pair'> & { instance: string },
): void {
  mustBeNew(real, made.instance)
  agent.keys.push({ ...made, state: 'active', expiresAt: model.now() + keySeconds })
}

const enrollmentSeconds = 600

/** One enrolment token, shown by several keys at once, in time or late. */
const enroll = (at: number, racers: number, isLate: boolean): Command =>
  command(`enroll(${at}, ${racers}, ${isLate})`, async (model, real) => {
    const agent = pick(model.agents, at)
    const made = await manage(real, 'POST', `/agents/${agent.id}/enrollments`)
    const { token } = expect(made, isAgentLive(agent, model.now()) ? 201 : 409)
    if (token === undefined) return
    if (isLate) real.world.advance(enrollmentSeconds)
    const pairs = Array.from({ length: racers }, () => generateKeyPair('Ed25519'))
    const answers = await Promise.all(
      pairs.map(async pair => {
        const dpop = real.world.party(agent.id, { ...pair.secret.reveal() }).proof('/enroll')
        const headers = { 'content-type': 'application/json', dpop }
        const body = JSON.stringify({ token, jwk: pair.verify.jwk })
        return answerOf(await real.world.fetch('/enroll', { method: 'POST', headers, body }))
      }),
    )
    const won = answers.flatMap(({ status, body }, each) => (status === 201 ? [{ each, body }] : []))
    // Property 9; and an agent that ended while its token waited takes nobody in.
    assert.equal(won.length, !isLate && isAgentLive(agent, model.now()) ? 1 : 0)
    for (const { status, body } of answers)
      assert.ok(status === 201 || body.code === 'invalid_enrollment', JSON.stringify(body))
    for (const { each, body } of won)
      enrolled(model, real, agent, { pair: pick(pairs, each), instance: body.instance })
  })

const rotateKey = (at: number, which: number): Command =>
  command(`rotateKey(${at}, ${which})`, async (model, real) => {
    const agent = pick(model.agents, at)
    const key = pick(agent.keys, which)
    const old = partyFor(real, agent, key)
    const pair = generateKeyPair('Ed25519')
    const answer = await answerOf(
      await real.world.fetch('/rekey', {
        method: 'POST',
        headers: { 'content-type': 'application/json', dpop: old.proof('/rekey', { key: pair.sign }) },
        body: JSON.stringify({
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: old.assertion({ cnf: { jkt: pair.sign.jkt } }),
          jwk: pair.verify.jwk,
        }),
      }),
    )
    const now = model.now()
    if (!isAgentLive(agent, now) || !isKeyLive(key, now)) return void expect(answer, 401)
    // A key that was rotated has its successor: a second one would fork the instance.
    if (key.state !== 'active') return void expect(answer, 409)
    const { instance } = expect(answer, 200)
    mustBeInstance(key, instance)
    // Good until nobody has used it for a day, which is longer than a history.
    key.state = 'retiring'
    agent.keys.push({ pair, instance, state: 'active', expiresAt: now + keySeconds })
  })

const setScopes = (where: number, leaves: readonly string[]): Command =>
  command(`setScopes(${where}, ${leaves})`, async (model, real) => {
    const resource = pick(model.resources, where)
    if (resource.id === null) return
    const names = namesOf(leaves)
    expect(await manage(real, 'PATCH', `/resources/${resource.id}`, { scopes: scopesGiven(names) }), 200)
    rescope(model, resource, names)
  })

/** Deletes a resource, or registers one again under the name of one that is gone. */
const toggle = (where: number): Command =>
  command(`toggle(${where})`, async (model, real) => {
    const resource = pick(model.resources, where)
    if (resource.id !== null) {
      expect(await manage(real, 'DELETE', `/resources/${resource.id}`), 204)
      resource.id = null
      endTokens(model, token => token.resource === resource)
      for (const grant of model.grants) if (grant.resource === resource) grant.isEnded = true
      return
    }
    const answer = await manage(real, 'POST', '/resources', {
      identifier: resource.identifier,
      name: 'again',
      scopes: scopesGiven(resource.names),
      introspection_clients: [real.auditor.clientId],
    })
    resource.id = expect(answer, 201).id
    mustBeNew(real, String(resource.id))
  })

const wait = (seconds: number): Command =>
  command(`wait(${seconds})`, async (_model, real) => real.world.advance(seconds))

const someLeaves = fc.subarray([...leafNames], { minLength: 1 })
const someNames = fc.subarray([...namesOf([...leafNames])], { minLength: 1 })
const number = fc.nat({ max: 5 })

/** All commands, those of tokens most often. */
export const commands: fc.Arbitrary<Iterable<Command>> = fc.commands(
  [
    ...tokenCommands,
    fc.tuple(number, fc.constantFrom('suspend', 'resume', 'retire')).map(([at, verb]) => move(at, verb)),
    fc
      .tuple(number, number, someNames, fc.option(fc.integer({ min: 1, max: 400 })))
      .map(given => give(...given)),
    fc
      .tuple(number, number, someNames, fc.option(fc.integer({ min: 1, max: 400 })))
      .map(given => give(...given)),
    number.map(takeBack),
    fc.tuple(number, fc.integer({ min: 1, max: 400 })).map(given => shorten(...given)),
    fc.tuple(number, number).map(given => revokeKey(...given)),
    fc.tuple(number, fc.integer({ min: 1, max: 3 }), fc.boolean()).map(given => enroll(...given)),
    fc.tuple(number, number).map(given => rotateKey(...given)),
    fc.tuple(number, someLeaves).map(given => setScopes(...given)),
    number.map(toggle),
    fc.integer({ min: 1, max: 320 }).map(wait),
  ],
  { maxCommands: 12, size: 'max' },
)
