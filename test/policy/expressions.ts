// Conditions that read each thing a policy can speak of, in each form that Cedar has for it.

const members = [
  ...[
    'now',
    'peer',
    'session',
    'task',
    'authenticationAge',
    'keyAge',
    'risk',
    'granted',
    'approval',
    'amounts',
  ],
  ...['arguments', 'claims', 'instance', 'person', 'chain'],
]

const wholes = ['context', '{ "c": context }.c', '(if context.granted then context else context)']

/** Readings of one member of the context, whether it is there or not. */
const ofMember = (name: string): readonly string[] => [
  `context has ${name}`,
  `context has "${name}"`,
  `context.${name} == context.${name}`,
  `context["${name}"] != context.${name}`,
  `[1, context.${name}].contains(context.${name})`,
  `{ "x": { "y": context.${name} } }.x.y == context.${name}`,
  `(if context has ${name} then context.${name} else 7) == 7`,
  ...wholes.slice(1).map(whole => `${whole} has ${name}`),
  ...wholes.slice(1).map(whole => `${whole}.${name} == 7`),
]

/** Readings of the tags of an expression. */
const ofTags = (of: string): readonly string[] => [
  `${of}.hasTag("amount")`,
  `${of}.hasTag(context.task)`,
  `${of}.hasTag(if context.granted then "amount" else "team")`,
  `${of}.getTag("amount").text == "5"`,
  `${of}.getTag(context.task).text == "5"`,
  `${of}.hasTag("amount") && ${of}.getTag("amount") has number`,
  `${of}.hasTag("amount") && ${of}.getTag("amount").number > 10`,
  `${of}.hasTag("on") && ${of}.getTag("on").flag`,
  `${of}.hasTag("team") && ${of}.getTag("team").attested`,
  `${of}.getTag("team") == { "text": "red", "attested": true, "source": "registry" }`,
  `${of}.getTag("team").source like "c*"`,
  `${of}.hasTag(${of}.getTag("next").text)`,
  `{ "t": ${of} }.t.hasTag("team")`,
  `(if context.risk > 50 then ${of} else principal).hasTag("team")`,
]

const agentA = 'Writ::Agent::"a"'
const agentB = 'Writ::Agent::"b"'
const ada = 'Writ::Person::"ada"'
const pilots = 'Writ::Group::"pilots"'
const cooks = 'Writ::Group::"cooks"'
const api = 'Writ::Resource::"https://api.example"'
const wipe = 'Writ::Tool::"https://api.example#wipe"'

const attributes = ['name', 'owner', 'purpose', 'status', 'login', 'type', 'id']

const ofAttributes = (of: string): readonly string[] =>
  attributes.flatMap(name => [
    `${of} has ${name}`,
    `${of}.${name} == "active"`,
    `[${of}.${name}].contains("ada") || ${of}["${name}"] like "w*"`,
  ])

const ofPlace = (of: string): readonly string[] => [
  `${of} in ${pilots}`,
  `${of} in [${cooks}, ${pilots}]`,
  `${of} is Writ::Person in ${cooks}`,
  `${of} is Writ::Agent`,
  `${of} in ${api}`,
  `${of} is Writ::Tool in ${api}`,
  `${of} in ${agentA}`,
  `${of} in principal`,
  `${of} in resource`,
  `${of} == ${ada}`,
  `${of} in context.chain`,
  `${of} in context.person`,
  `context.chain.contains(${of})`,
  `{ "p": ${of} }.p in ${pilots}`,
  `(if context.risk > 50 then ${of} else principal) in ${pilots}`,
]

const entities = [
  'principal',
  'resource',
  'context.person',
  'context.instance',
  agentA,
  agentB,
  ada,
  wipe,
  api,
]

const others: readonly string[] = [
  'context.granted',
  'context.risk > 50',
  'context.risk * 9223372036854775807 > 1',
  'context has peer && context.peer.isInRange(ip("10.0.0.0/8"))',
  'context.peer.isLoopback()',
  'context.peer == ip("10.0.0.1")',
  'context.now.toTime() < duration("12h")',
  'context.now < datetime("2026-11-25T12:00:00Z")',
  'context.now.offset(duration("1h")) > context.approval.approvedUntil',
  'context has approval.by && context.approval.by == "usr_approver"',
  'context has approval.id',
  'context has approval.nothing',
  'context["approval"]["approvedAt"] < context.now',
  'context has amounts.rows && context.amounts.rows > 5',
  'context.amounts has rows',
  'context.amounts == { "calls": 1 }',
  'context["amounts"]["calls"] > 1',
  'context has person.login && context.person.login == "ada"',
  'context has person.nothing',
  'context has arguments.amount',
  'context.session like "ses*"',
  'context.task == "amount"',
  'context.keyAge > 60 || context.authenticationAge > 60',
  `context.chain == [${agentA}]`,
  `context.chain.containsAny([${agentB}, principal])`,
  `context.chain.containsAll([principal])`,
  `[principal, resource].containsAll(context.chain)`,
  'context.chain.isEmpty()',
  'context.arguments == context.claims',
  'context.arguments is Writ::Arguments',
  'context.arguments in context.claims',
  'context.arguments.getTag("list").values.contains("b")',
  'context.arguments.hasTag("filter/year") && context.arguments.getTag("filter/year").number == 2026',
  'context.arguments.hasTag("filter")',
  'Writ::Instance::"i" in Writ::Agent::"a"',
  'context.instance in principal',
  'context.instance == Writ::Instance::"i"',
  'principal == context.person',
  'action == Writ::Action::"call"',
  'action in [Writ::Action::"get", Writ::Action::"delete"]',
  `resource == ${wipe}`,
  'resource == Writ::Foreign::"record:1" && resource.id == "1"',
  'principal == Writ::Subject::"user:alice" && Writ::Subject::"user:alice".type == "user"',
  'Writ::Client::"c" has name',
  `${agentA} == ${agentB} || ${agentB}.owner == principal.owner`,
  'Writ::Agent::"nobody" has owner',
  'Writ::Agent::"nobody".owner == "usr_owner"',
  'Writ::Agent::"nobody".hasTag("team")',
  'context.nothing == 1',
  'context has nothing',
  ...wholes.flatMap(whole => [
    `${whole} == context`,
    `${whole} == { "risk": 7 }`,
    `[${whole}].contains(context)`,
    `${whole}.risk > 50`,
    `${whole}.arguments.hasTag("amount")`,
    `${whole}.person in ${pilots}`,
    `${whole}.person.login == "ada"`,
    `${whole} has approval.by`,
    `{ "a": [${whole}] } == { "a": [context] }`,
  ]),
]

/** Every one is of type Bool, where it does not fail. */
export const readings: readonly string[] = [
  ...members.flatMap(ofMember),
  ...['context.arguments', 'context.claims'].flatMap(ofTags),
  ...entities.flatMap(of => [...ofAttributes(of), ...ofPlace(of), ...ofTags(of)]),
  ...others,
]
