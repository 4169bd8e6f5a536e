// The steps of the history that decide at run time: policies, groups, halts, risk, activations, approvals, budgets.
import type { Answer } from '../harness/party.ts'
import { idOf, keepId, keptOf, partyOf, type Scene, type Step } from './scene.ts'

const reason = { reason: 'Breaks' }

const manage = (
  name: string,
  status: number,
  again: number | undefined,
  ask: (scene: Scene) => readonly [method: string, path: string, body?: unknown],
): Step => ({
  name,
  status,
  ...(again === undefined ? {} : { again }),
  ask: scene => scene.operator.manage(...ask(scene)),
})

const source = 'permit (principal is Writ::Person, action, resource);'

const policies: readonly Step[] = [
  manage('policies are looked over', 200, undefined, () => ['POST', '/policies/validate', { source }]),
  {
    // Asked again it is the next set, and no harm.
    ...manage('a policy set is written', 201, undefined, () => ['POST', '/policies', { source }]),
    keep: keepId('policies'),
  },
  manage('a policy set is tried', 200, 409, scene => [
    'POST',
    `/policies/${idOf(scene, 'policies')}/shadow`,
    reason,
  ]),
  manage('a trial is withdrawn', 200, 409, scene => [
    'POST',
    `/policies/${idOf(scene, 'policies')}/withdraw`,
    reason,
  ]),
  manage('a policy set is put into force', 200, 409, scene => [
    'POST',
    `/policies/${idOf(scene, 'policies')}/activate`,
    reason,
  ]),
  manage('recorded decisions are put to other policies', 200, undefined, ({ operator: _ }) => [
    'POST',
    '/policies/replay',
    { source, since: new Date(Date.now() - 3600_000).toISOString() },
  ]),
]

const groups: readonly Step[] = [
  {
    ...manage('a group is made', 201, 409, ({ mark }) => ['POST', '/groups', { name: `couriers ${mark}` }]),
    keep: keepId('group'),
    find: ({ operator, mark }) =>
      operator.manage('GET', `/groups?name=${encodeURIComponent(`couriers ${mark}`)}`),
  },
  {
    ...manage('somebody for a group comes', 201, 409, ({ mark }) => [
      'POST',
      '/people',
      { login: `member-${mark}` },
    ]),
    keep: keepId('member'),
    find: ({ operator, mark }) => operator.manage('GET', `/people?login=member-${mark}`),
  },
  manage('somebody joins a group', 200, undefined, scene => [
    'POST',
    `/groups/${idOf(scene, 'group')}/members`,
    { person: idOf(scene, 'member') },
  ]),
  manage('somebody leaves a group', 200, 404, scene => [
    'DELETE',
    `/groups/${idOf(scene, 'group')}/members/${idOf(scene, 'member')}`,
  ]),
  manage('a group is given up', 204, 404, scene => ['DELETE', `/groups/${idOf(scene, 'group')}`]),
]

const halts: readonly Step[] = [
  manage('a risk is told', 200, undefined, scene => [
    'POST',
    '/risks',
    { subject: idOf(scene, 'reporter'), score: 40, ...reason },
  ]),
  {
    ...manage('a tool is halted', 201, 409, ({ resource }) => [
      'POST',
      '/halts',
      { kind: 'tool', target: `${resource}#burn`, ...reason },
    ]),
    keep: keepId('halt'),
    find: ({ operator }) => operator.manage('GET', '/halts?status=live'),
  },
  manage('a halt is lifted', 200, 409, scene => ['POST', `/halts/${idOf(scene, 'halt')}/lift`, reason]),
]

const own = (scene: Scene, path: string, form: Record<string, string>): Promise<Answer> => {
  const party = partyOf(scene, 'reporter', 'reporter')
  return (async () => {
    const dpop = party.proof(path, { nonce: await party.nonce() })
    const assertion = {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: party.assertion(),
    }
    return party.post(path, { ...assertion, ...form }, { dpop })
  })()
}

const sessions: readonly Step[] = [
  {
    // Begun again it is another session of the same instance.
    name: 'a session begins',
    status: 201,
    ask: scene => own(scene, '/sessions', { task: 'breaks' }),
    keep: ({ ids }, { body }) => void ids.set('session', body.session),
  },
  manage('a session is ended', 200, 409, scene => [
    'POST',
    `/sessions/${idOf(scene, 'session')}/end`,
    reason,
  ]),
]

const activate = (name: string, as: string, more: Record<string, unknown> = {}): Step => ({
  ...manage(name, 201, undefined, scene => [
    'POST',
    '/activations',
    { eligibility: idOf(scene, 'eligibility'), seconds: 60, ...reason, ...more },
  ]),
  keep: keepId(as),
})

/** An administrator beside the operator: nobody decides what they asked for. */
const asSecond = async (scene: Scene, path: string, body: unknown): Promise<Answer> => {
  const management = `${scene.operator.issuer}/api/v1`
  const party = partyOf(scene, 'reporter', 'reporter')
  const token = keptOf(scene, 'token of the approver')
  return party.call('POST', `${management}${path}`, { token, body })
}

const approvals: readonly Step[] = [
  {
    ...manage('somebody is made eligible', 201, undefined, scene => [
      'POST',
      '/eligibilities',
      {
        agent: idOf(scene, 'second'),
        resource: scene.resource,
        scopes: ['write'],
        max_seconds: 600,
        approval: 'required',
        break_glass: true,
        ...reason,
      },
    ]),
    keep: keepId('eligibility'),
  },
  manage('an approver is given the right', 201, undefined, scene => [
    'POST',
    '/grants',
    {
      agent: idOf(scene, 'reporter'),
      resource: `${scene.operator.issuer}/api/v1`,
      scopes: ['writ:approvals', 'writ:decisions'],
      ...reason,
    },
  ]),
  {
    name: 'an approver gets a token',
    status: 200,
    ask: scene =>
      partyOf(scene, 'reporter', 'reporter').tokenRequest({
        resource: `${scene.operator.issuer}/api/v1`,
        scope: 'writ:approvals writ:decisions',
      }),
    keep: ({ kept }, { body }) => void kept.set('token of the approver', body.access_token),
  },
  activate('an activation is asked for', 'first activation'),
  {
    name: 'an activation is approved',
    status: 200,
    again: 409,
    ask: scene => asSecond(scene, `/approvals/${idOf(scene, 'first activation')}/approve`, {}),
  },
  activate('a second activation is asked for', 'second activation'),
  {
    name: 'an activation is denied',
    status: 200,
    again: 409,
    ask: scene => asSecond(scene, `/approvals/${idOf(scene, 'second activation')}/deny`, reason),
  },
  activate('a third activation is asked for', 'third activation'),
  manage('an activation is withdrawn', 200, 409, scene => [
    'POST',
    `/approvals/${idOf(scene, 'third activation')}/cancel`,
    reason,
  ]),
  activate('the glass is broken', 'broken glass', { break_glass: true }),
  {
    name: 'broken glass is looked at',
    status: 200,
    again: 409,
    ask: scene =>
      asSecond(scene, `/approvals/${idOf(scene, 'broken glass')}/review`, {
        verdict: 'justified',
        note: 'it burned',
      }),
  },
  manage('an eligibility is taken back', 200, 409, scene => [
    'POST',
    `/eligibilities/${idOf(scene, 'eligibility')}/revoke`,
    reason,
  ]),
]

const decision = (path: string, body: (scene: Scene) => unknown, step: Omit<Step, 'ask'>): Step => ({
  ...step,
  ask: scene => {
    const party = partyOf(scene, 'reporter', 'reporter')
    const url = `${scene.operator.issuer}/access/v1/${path}`
    return party.call('POST', url, { token: keptOf(scene, 'token of the approver'), body: body(scene) })
  },
})

const spending: readonly Step[] = [
  manage('a grant with a budget is given', 201, undefined, scene => [
    'POST',
    '/grants',
    {
      agent: idOf(scene, 'second'),
      resource: scene.resource,
      scopes: ['read'],
      budgets: [{ unit: 'rows', limit: 1_000_000, window_seconds: 3600 }],
      ...reason,
    },
  ]),
  decision(
    'evaluation',
    scene => ({
      subject: { type: 'agent', id: idOf(scene, 'second') },
      action: { name: 'read' },
      resource: { type: 'resource', id: scene.resource },
      context: { amounts: { rows: 10 }, reserve: true },
    }),
    {
      name: 'a decision spends of a budget',
      status: 200,
      keep(scene, { body }) {
        if (body.decision !== true) throw new Error(`the decision is ${JSON.stringify(body)}`)
        scene.kept.set('reservation', body.context.reservation.id)
      },
    },
  ),
  decision('settlements', scene => ({ reservation: keptOf(scene, 'reservation'), amounts: { rows: 3 } }), {
    name: 'what was reserved is settled',
    status: 200,
    again: 409,
  }),
  manage('somebody asks why not', 200, undefined, scene => [
    'POST',
    '/why-not',
    { agent: idOf(scene, 'second'), action: 'write', resource: scene.resource },
  ]),
]

const rollback: readonly Step[] = [
  manage('the policies before are put back', 200, 409, () => ['POST', '/policies/rollback', reason]),
]

export const authorization: readonly Step[] = [
  ...policies,
  ...groups,
  ...halts,
  ...sessions,
  ...approvals,
  ...spending,
  ...rollback,
]
