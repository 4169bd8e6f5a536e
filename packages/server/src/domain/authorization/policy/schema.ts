// Our Cedar schema: what policies may speak of. Attributes and arguments are tags, each with the word of whom we have it from.
import { actionType } from './statements.ts'

/**
 * `Claim`: one attribute or argument. `number` is there for whole numbers that JSON carries exactly, `flag` for
 * booleans, `values` for lists of scalars; `text` always. `attested` is true for what this authority registered or
 * verified itself, and for nothing that a caller says of itself.
 */
const entities = `
  type Claim = {
    "text": String, "number"?: Long, "flag"?: Bool, "values"?: Set<String>, "attested": Bool, "source": String
  };
  entity Group;
  entity Person in [Group] = { "login": String, "status": String } tags Claim;
  entity Agent = { "name": String, "owner": String, "purpose": String, "status": String } tags Claim;
  entity Instance in [Agent];
  entity Client = { "name": String, "status": String } tags Claim;
  entity Subject = { "type": String, "id": String } tags Claim;
  entity Resource = { "name": String } tags Claim;
  entity Tool in [Resource] = { "name": String } tags Claim;
  entity Object in [Resource] = { "type": String, "id": String } tags Claim;
  entity Foreign = { "type": String, "id": String } tags Claim;
  entity Arguments tags Claim;
  entity Claims tags Claim;
  type Call = {
    "now": datetime,
    "peer"?: ipaddr,
    "session"?: String,
    "task"?: String,
    "authenticationAge"?: Long,
    "keyAge"?: Long,
    "risk": Long,
    "granted": Bool,
    "approval"?: { "id": String, "by": String, "approvedAt": datetime, "approvedUntil": datetime },
    "amounts": { "calls": Long, "rows"?: Long, "bytes"?: Long, "money"?: Long },
    "arguments": Arguments,
    "claims": Claims,
    "instance"?: Instance,
    "person"?: Person,
    "chain": Set<Agent>
  };`

const applies = `appliesTo {
    principal: [Agent, Person, Client, Subject],
    resource: [Resource, Tool, Object, Foreign],
    context: Call
  };`

/** Stands for all actions that a set does not name: they have one type, so one is as good as all. Problems tell of it. */
const anyOther = 'any other action'

/** The schema with these actions; whoever asks has seen to it that they exist. */
export function schemaWith(actions: readonly string[]): string {
  const names = [...new Set([anyOther, ...actions])].map(name => JSON.stringify(name)).join(', ')
  return `namespace Writ {${entities}\n  action ${names} ${applies}\n}\n`
}

const uid = (type: string) => (id: string) => ({ type: `Writ::${type}`, id })

/** The names of things as policies write them. */
export const uids = {
  action: (id: string) => ({ type: actionType, id }),
  agent: uid('Agent'),
  instance: uid('Instance'),
  person: uid('Person'),
  group: uid('Group'),
  client: uid('Client'),
  subject: uid('Subject'),
  resource: uid('Resource'),
  tool: uid('Tool'),
  object: uid('Object'),
  foreign: uid('Foreign'),
  arguments: uid('Arguments'),
  claims: uid('Claims'),
} as const

/** One name for a type and an id: a colon in the type never reads as the one between them. */
export function typedId(type: string, id: string): string {
  return `${type.replaceAll('%', '%25').replaceAll(':', '%3A')}:${id}`
}
