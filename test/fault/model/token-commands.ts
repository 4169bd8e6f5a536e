// The commands of a history that obtain, show, introspect and revoke tokens.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { expect, payloadOf } from '../../harness/agent.ts'
import { type Answer, assertionType, type Party } from '../../harness/party.ts'
import { type Command, command, pick } from './command.ts'
import {
  dueFor,
  isAgentLive,
  isGrantLive,
  isKeyLive,
  isTokenLive,
  leafNames,
  leavesOf,
  type Model,
  type ModelToken,
  mustBeInstance,
  namesOf,
  type Wish,
} from './model.ts'
import { manage, partyFor, type Real } from './real.ts'

const tokenSeconds = 300

/** Which agent, with which of its keys, at which resource, for what. */
type Numbers = readonly [agent: number, key: number, resource: number, asked: readonly string[] | null]

function wishOf(model: Model, [at, which, where, asked]: Numbers): Wish {
  const agent = pick(model.agents, at)
  const resource = pick(model.resources, where)
  return { agent, key: pick(agent.keys, which), resource, asked: asked ?? undefined }
}

const formOf = ({ resource, asked }: Wish): Record<string, string> => ({
  resource: resource.identifier,
  ...(asked === undefined ? {} : { scope: asked.join(' ') }),
})

/** Takes a token into the model. Throws where it is wider or longer than what it rests on (property 1). */
function admit(model: Model, wish: Wish, text: string): ModelToken {
  const claims = payloadOf(text) as {
    scope?: string
    exp: number
    aud: string
    client_id: string
    sub: string
    cnf: { jkt: string }
    agent_instance_id: string
    writ: { grants: readonly string[]; key: string }
  }
  const { agent, key, resource } = wish
  const now = model.now()
  const scopes = claims.scope?.split(' ') ?? []
  const grants = claims.writ.grants.map(id => model.grants.find(grant => grant.id === id))
  const ends = [agent.expiresAt]
  const rights = new Set<string>()
  for (const grant of grants) {
    assert.ok(grant && grant.agent === agent && grant.resource === resource && isGrantLive(grant, now))
    ends.push(grant.expiresAt)
    for (const name of grant.scopes) for (const leaf of leavesOf(resource, name)) rights.add(leaf)
  }
  assert.ok(
    scopes.every(scope => rights.has(scope)),
    `${scopes} from ${[...rights]}`,
  )
  const end = Math.min(now + tokenSeconds, ...ends.filter(at => at !== null))
  assert.equal(claims.exp, end)
  const { jkt } = key.pair.verify
  assert.deepEqual(
    [claims.aud, claims.client_id, claims.sub, claims.cnf.jkt, claims.writ.key],
    [resource.identifier, agent.id, agent.id, jkt, jkt],
  )
  mustBeInstance(key, claims.agent_instance_id)
  const token = { text, agent, resource, key, scopes, expiresAt: claims.exp, isEnded: false }
  const kept = { ...token, grants: grants.filter(grant => grant !== undefined) }
  model.tokens.push(kept)
  return kept
}

/** Compares an answer of the token endpoint with what was due; answers the token where there is one. */
function mustBeDue(model: Model, wish: Wish, answer: Answer): ModelToken | undefined {
  const due = dueFor(model, wish)
  if ('error' in due) {
    assert.equal(answer.body.error, due.error)
    return undefined
  }
  const { access_token, scope = '' } = expect(answer, 200)
  assert.deepEqual(String(scope).split(' ').filter(Boolean).sort(), due.scopes)
  return admit(model, wish, access_token)
}

const obtain = (numbers: Numbers): Command =>
  command(`obtain(${numbers.join(', ')})`, async (model, real) => {
    const wish = wishOf(model, numbers)
    const party = partyFor(real, wish.agent, wish.key)
    const assertion = party.assertion()
    const answer = await party.tokenRequest({ ...formOf(wish), client_assertion: assertion })
    mustBeDue(model, wish, answer)
    // Whatever became of it: what a live key showed is used up.
    if (isKeyLive(wish.key, model.now())) model.spent.push({ agent: wish.agent, key: wish.key, assertion })
  })

const replay = (at: number, where: number): Command => ({
  check: ({ spent }) => spent.length > 0,
  async run(model, real) {
    const { agent, key, assertion } = pick(model.spent, at)
    const form = { resource: pick(model.resources, where).identifier, client_assertion: assertion }
    const answer = await partyFor(real, agent, key).tokenRequest(form)
    assert.ok(answer.status === 400 || answer.status === 401, `${answer.status}: a used assertion was taken`)
  },
  toString: () => `replay(${at}, ${where})`,
})

/** The same assertion, several times at once: at most one is taken (property 9). */
const race = (numbers: Numbers, racers: number): Command =>
  command(`race(${numbers.join(', ')}, ${racers})`, async (model, real) => {
    const wish = wishOf(model, numbers)
    const party = partyFor(real, wish.agent, wish.key)
    await party.nonce()
    const form = { ...formOf(wish), client_assertion: party.assertion() }
    const answers = await Promise.all(Array.from({ length: racers }, () => party.tokenRequest(form)))
    const given = answers.filter(({ status }) => status === 200)
    assert.equal(given.length, 'error' in dueFor(model, wish) ? 0 : 1)
    for (const answer of given) mustBeDue(model, wish, answer)
  })

/** A token asked for at the instant in which its agent is suspended: whichever came first, it is dead (property 13). */
const raceSuspension = (numbers: Numbers, turns: number): Command =>
  command(`raceSuspension(${numbers.join(', ')}, ${turns})`, async (model, real) => {
    const wish = wishOf(model, numbers)
    const { agent, key } = wish
    if (agent.status !== 'active') return
    const party = partyFor(real, agent, key)
    await party.nonce()
    const before = await entriesOf(real, 0)
    const [answer, moved] = await Promise.all([
      later(turns, () => party.tokenRequest(formOf(wish))),
      manage(real, 'POST', `/agents/${agent.id}/suspend`, { reason: 'Model' }),
    ])
    expect(moved, 200)
    const types = (await entriesOf(real, before.size)).types
    const isOrdered = types.lastIndexOf('token.issued allowed') <= types.indexOf('agent.suspended allowed')
    assert.ok(isOrdered, `a token after the end of its agent: ${types}`)
    const token = answer.status === 200 ? mustBeDue(model, wish, answer) : undefined
    agent.status = 'suspended'
    for (const each of model.tokens) each.isEnded ||= each.agent === agent
    if (token !== undefined) await mustAgree(model, real, token)
  })

/** Begins so many turns later, so that the two meet at every place. */
async function later<T>(turns: number, work: () => Promise<T>): Promise<T> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve()
  return work()
}

/** What was committed from that index on, in order. */
async function entriesOf(
  { world: { server } }: Real,
  from: number,
): Promise<{ readonly size: number; readonly types: readonly string[] }> {
  const [tenant] = await server.store.tenants.list()
  assert.ok(tenant)
  const scope = { tenant: tenant.id }
  const size = await server.store.log.size(scope)
  const found = from === 0 ? [] : await server.store.log.range(scope, from, size)
  const types = found.map(({ text }) => JSON.parse(text)).map(({ type, outcome }) => `${type} ${outcome}`)
  return { size, types }
}

const revoke = (at: number, isOwner: boolean): Command => ({
  check: ({ tokens }) => tokens.length > 0,
  async run(model, real) {
    const token = pick(model.tokens, at)
    const { agent, key } = token
    const party = isOwner ? partyFor(real, agent, key) : real.stranger
    const answer = await party.post('/revoke', clientForm(party, token.text))
    const mayCall = !isOwner || (isAgentLive(agent, model.now()) && isKeyLive(key, model.now()))
    expect(answer, mayCall ? 200 : 401)
    token.isEnded ||= isOwner && mayCall
  },
  toString: () => `revoke(${at}, ${isOwner})`,
})

const clientForm = (party: Party, token: string): Record<string, string> => ({
  token,
  client_assertion_type: assertionType,
  client_assertion: party.assertion(),
})

const callers = ['operator', 'auditor', 'stranger', 'holder'] as const

/** Property 15 for one token and one caller. */
async function mustTell(
  model: Model,
  real: Real,
  token: ModelToken,
  who: (typeof callers)[number],
): Promise<void> {
  const { agent, key } = token
  const party =
    who === 'holder' ? partyFor(real, agent, key) : who === 'operator' ? real.world.operator : real[who]
  const answer = await party.post('/introspect', clientForm(party, token.text))
  const now = model.now()
  if (who === 'holder' && !(isAgentLive(agent, now) && isKeyLive(key, now))) return void expect(answer, 401)
  const body = expect(answer, 200)
  const maySee = who === 'operator' || who === 'auditor'
  assert.equal(body.active, maySee && isTokenLive(token, now), `${who}: ${JSON.stringify(body)}`)
  if (!body.active) return assert.deepEqual(body, { active: false })
  assert.deepEqual(
    [
      body.client_id,
      body.aud,
      body.exp,
      String(body.scope ?? '')
        .split(' ')
        .filter(Boolean),
    ],
    [agent.id, token.resource.identifier, token.expiresAt, token.scopes],
  )
}

const introspect = (at: number, who: (typeof callers)[number]): Command => ({
  check: ({ tokens }) => tokens.length > 0,
  run: (model, real) => mustTell(model, real, pick(model.tokens, at), who),
  toString: () => `introspect(${at}, ${who})`,
})

/** Property 15 for one token, for every caller. */
export async function mustAgree(model: Model, real: Real, token: ModelToken): Promise<void> {
  await Promise.all(callers.map(who => mustTell(model, real, token, who)))
}

const number = fc.nat({ max: 5 })
const someNames = fc.subarray([...namesOf([...leafNames])], { minLength: 1 })
const numbers = fc.tuple(number, number, number, fc.option(someNames))

/** What the right that a history begins with is good for. */
const usual = fc.constantFrom<Numbers>([0, 0, 0, null], [0, 0, 0, ['read']], [0, 0, 0, ['erase']])

export const tokenCommands: readonly fc.Arbitrary<Command>[] = [
  numbers.map(obtain),
  numbers.map(obtain),
  numbers.map(obtain),
  usual.map(obtain),
  usual.map(obtain),
  usual.map(obtain),
  fc.tuple(numbers, fc.integer({ min: 2, max: 4 })).map(given => race(...given)),
  fc.tuple(numbers, fc.nat({ max: 240 })).map(given => raceSuspension(...given)),
  fc.tuple(usual, fc.nat({ max: 240 })).map(given => raceSuspension(...given)),
  fc.tuple(number, number).map(given => replay(...given)),
  fc.tuple(number, fc.boolean()).map(given => revoke(...given)),
  fc.tuple(number, fc.constantFrom(...callers)).map(given => introspect(...given)),
]
