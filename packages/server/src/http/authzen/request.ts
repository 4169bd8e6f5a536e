// AuthZEN Authorization API 1.0 §5 to §8: requests, read strictly where we understand a member, and leniently nowhere else.
import { isIP } from 'node:net'
import { parseDetails } from '@writ/sdk/protocol/details/index'
import { Fault } from '@writ/sdk/protocol/fault'
import { type ApprovalId, type GrantId, parseId } from '@writ/sdk/protocol/identifier'
import type { Asked, Entity } from '../../decision/question.ts'
import type { Ceiling } from '../../domain/authorization/question.ts'

type Members = Readonly<Record<string, unknown>>

/** Longest texts: a type, a name of an action, an id. */
const longest = { type: 256, name: 256, id: 2048 } as const
/** Most parties that one call may be made on behalf of. */
const longestChain = 8

const wrong = (say: string): Fault => new Fault('invalid_request', say, { kind: 'authzen' })

const isMembers = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An object where one is given; none is an empty one. */
export function membersOf(from: Members, name: string): Members {
  const value = from[name]
  if (value === undefined) return {}
  if (!isMembers(value)) throw wrong(`${name} must be an object.`)
  return value
}

function textOf(from: Members, name: string, where: string, most: number): string {
  const value = from[name]
  if (typeof value !== 'string' || value === '') throw wrong(`${where}.${name} must be a text.`)
  if (value.length > most) throw wrong(`${where}.${name} may have ${most} characters.`)
  return value
}

function requiredObject(from: Members, name: string): Members {
  if (from[name] === undefined) throw wrong(`${name} is missing.`)
  return membersOf(from, name)
}

/** AuthZEN §5.1 and §5.2. Unknown members are ignored (§10.1.1). */
export function entityOf(from: Members, name: 'subject' | 'resource'): Entity {
  const entity = requiredObject(from, name)
  return {
    type: textOf(entity, 'type', name, longest.type),
    id: textOf(entity, 'id', name, longest.id),
    properties: membersOf(entity, 'properties'),
  }
}

/** The type of what is searched for, and what is known of it; an id is ignored (AuthZEN §8.4.1 and §8.5.1). */
export function soughtOf(from: Members, name: 'subject' | 'resource'): Omit<Entity, 'id'> {
  const entity = requiredObject(from, name)
  return { type: textOf(entity, 'type', name, longest.type), properties: membersOf(entity, 'properties') }
}

/** AuthZEN §5.3. */
export function actionOf(from: Members): Asked['action'] {
  const action = requiredObject(from, 'action')
  return { name: textOf(action, 'name', 'action', longest.name), properties: membersOf(action, 'properties') }
}

/** AuthZEN §6.1: one question. Throws `invalid_request` with the member that is missing or wrong. */
export function evaluationOf(body: Members): Asked {
  return {
    subject: entityOf(body, 'subject'),
    action: actionOf(body),
    resource: entityOf(body, 'resource'),
    ...circumstancesOf(body),
    wire: {
      subject: membersOf(body, 'subject'),
      action: membersOf(body, 'action'),
      resource: membersOf(body, 'resource'),
      context: membersOf(body, 'context'),
    },
  }
}

/** What is not an entity: the context as far as we understand it, and what is wanted beside the decision. */
export function circumstancesOf(body: Members): Omit<Asked, 'subject' | 'action' | 'resource'> {
  const context = membersOf(body, 'context')
  const options = membersOf(body, 'options')
  const { chain, instance, token, peer, session, task, approval, amounts, reserve, ...rest } = context
  const { arguments: given, authentication_age: age, key_age: keyAge, ...claims } = rest
  return {
    chain: chainOf(chain),
    instance: optionalText(instance, 'instance'),
    ceiling: ceilingOf(token),
    arguments: given === undefined ? {} : membersOf({ arguments: given }, 'arguments'),
    context: {
      peer: peerOf(peer),
      session: sessionOf(session, token),
      task: optionalText(task, 'task'),
      authenticationAge: secondsOf(age, 'authentication_age'),
      keyAge: secondsOf(keyAge, 'key_age'),
      approval: approvalOf(approval),
      amounts: costOf(amounts),
    },
    claims,
    reserve: flagOf(reserve, 'context.reserve'),
    explain: flagOf(options['explain'], 'options.explain'),
    cache: flagOf(options['cache'], 'options.cache'),
  }
}

function flagOf(value: unknown, name: string): boolean {
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw wrong(`${name} must be true or false.`)
  return value
}

function optionalText(value: unknown, name: string): string | null {
  return value === undefined || value === null ? null : textOf({ [name]: value }, name, 'context', longest.id)
}

function chainOf(value: unknown): Asked['chain'] {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length > longestChain)
    throw wrong(`context.chain must be a list of at most ${longestChain} parties.`)
  return value.map(one => {
    if (!isMembers(one)) throw wrong('context.chain must be a list of parties.')
    return {
      type: textOf(one, 'type', 'context.chain', longest.type),
      id: textOf(one, 'id', 'context.chain', longest.id),
    }
  })
}

function secondsOf(value: unknown, name: string): number | null {
  if (value === undefined || value === null) return null
  if (!isAmount(value)) throw wrong(`context.${name} must be a whole number of seconds.`)
  return value
}

// Neither NaN nor a negative number is JSON's to keep out: a budget that grows by spending would be no budget.
const isAmount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** As the socket of the enforcement point saw it, in one spelling: policies compare addresses. */
function peerOf(value: unknown): string | null {
  const text = optionalText(value, 'peer')
  if (text === null) return null
  const plain = text.replace(/^::ffff:(?=[\d.]+$)/i, '')
  if (isIP(plain) === 0) throw wrong('context.peer must be an address.')
  return plain
}

function sessionOf(session: unknown, token: unknown): string | null {
  const own = optionalText(session, 'session')
  const ofToken = isMembers(token) ? optionalText(token['session'], 'session') : null
  if (own !== null && ofToken !== null && own !== ofToken)
    throw wrong('context.session must be the session of the token.')
  return own ?? ofToken
}

const ofAnother = 'with a state of another' as ApprovalId

function approvalOf(value: unknown): ApprovalId | null {
  if (value === undefined || value === null) return null
  if (!isMembers(value)) throw wrong('context.approval must be an object.')
  // Access request profile, "Completion Semantics": approvals of ours carry no state, so what carries one is none.
  if (value['state'] !== undefined) return ofAnother
  // One that is no identifier is one that does not exist, which the decision says.
  return textOf(value, 'id', 'context.approval', longest.id) as ApprovalId
}

const units = ['calls', 'rows', 'bytes', 'money'] as const

/** Whole amounts by their units; of money the currency beside it. Throws `invalid_request`. */
export function amountsOf(value: unknown): Asked['context']['amounts'] {
  const { currency, ...given } = value === undefined ? {} : membersOf({ amounts: value }, 'amounts')
  if (currency !== undefined && (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)))
    throw wrong('context.amounts.currency must be three letters of ISO 4217.')
  const amounts: Partial<Record<(typeof units)[number], number>> = {}
  for (const [unit, amount] of Object.entries(given)) {
    const known = units.find(one => one === unit)
    if (known === undefined) throw wrong(`context.amounts has no ${unit.slice(0, 64)}.`)
    if (!isAmount(amount)) throw wrong(`context.amounts.${known} must be a whole number, at least 0.`)
    amounts[known] = amount
  }
  return currency === undefined ? amounts : { ...amounts, currency }
}

/** Of an operation: one that cost no call could be done without an end. */
function costOf(value: unknown): Asked['context']['amounts'] {
  const amounts = amountsOf(value)
  if (amounts.calls === 0) throw wrong('context.amounts.calls must be at least 1.')
  return amounts
}

/** Most grants and scopes of a token, as those who issue and read them bound them. */
const most = { grants: 64, scopes: 100 } as const

/** The token as its verifier read it. Whatever is malformed is refused: half a ceiling is none. */
function ceilingOf(value: unknown): Ceiling | null {
  if (value === undefined || value === null) return null
  if (!isMembers(value)) throw wrong('context.token must be an object.')
  const { epoch, exp, authorization_details: details } = value
  if (!isAmount(epoch) || !isAmount(exp)) throw wrong('context.token must have epoch and exp.')
  const read = details === undefined ? [] : parseDetails(details)
  if ('problem' in read) throw wrong(`context.token.authorization_details ${read.problem}.`)
  const grants = textsOf(value, 'grants', most.grants)
  if (grants.some(id => parseId('grt', id) === undefined))
    throw wrong('context.token.grants must be identifiers of grants.')
  return {
    grants: grants as readonly GrantId[],
    scopes: textsOf(value, 'scopes', most.scopes),
    authorizationDetails: read,
    token: {
      jti: textOf(value, 'jti', 'context.token', 256),
      key: textOf(value, 'key', 'context.token', 256),
      boundTo: optionalText(value['jkt'], 'token.jkt'),
      epoch,
      expiresAt: exp,
    },
  }
}

function textsOf(from: Members, name: string, limit: number): readonly string[] {
  const value = from[name]
  const isTexts = Array.isArray(value) && value.every(text => typeof text === 'string' && text !== '')
  if (!isTexts || value.length > limit) throw wrong(`context.token.${name} must be a list of texts.`)
  return value as readonly string[]
}
