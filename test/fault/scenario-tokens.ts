// The steps of the history that obtain, show, introspect and revoke tokens, and those that are refused.
import { type Answer, assertionType } from '../harness/party.ts'
import { idOf, keptOf, partyOf, type Scene, type Step } from './scene.ts'

const management = ({ operator }: Scene): string => `${operator.issuer}/api/v1`

/** A form with an assertion of the party's own. */
const asClient = (form: Record<string, string>, assertion: string): Record<string, string> => ({
  client_assertion_type: assertionType,
  client_assertion: assertion,
  ...form,
})

const introspected = async (
  scene: Scene,
  { asked, token, active }: { asked: 'operator' | 'reporter'; token: string; active: boolean },
): Promise<Answer> => {
  const party = asked === 'operator' ? scene.operator : partyOf(scene, 'reporter', 'reporter')
  const answer = await party.post('/introspect', asClient({ token: keptOf(scene, token) }, party.assertion()))
  if (answer.status === 200 && answer.body.active !== active)
    throw new Error(`introspection answers ${JSON.stringify(answer.body)}`)
  return answer
}

/** A token of the operator for one purpose, or what it was told instead; asked for once. */
const tokenFor = async (scene: Scene, scope: string): Promise<string | Answer> => {
  const known = scene.kept.get(`token ${scope}`)
  if (known !== undefined) return known
  const answer = await scene.operator.tokenRequest({ resource: management(scene), scope })
  if (answer.status !== 200) return answer
  scene.kept.set(`token ${scope}`, answer.body.access_token)
  return answer.body.access_token
}

/** A call of the operator with a token of its own for one purpose. */
const call = async (scene: Scene, method: string, path: string, scope: string): Promise<Answer> => {
  const got = await tokenFor(scene, scope)
  if (typeof got !== 'string') return got
  const url = path.startsWith('/metrics') ? `${scene.operator.issuer}${path}` : `${management(scene)}${path}`
  return scene.operator.call(method, url, { token: got, ...(method === 'POST' ? { body: {} } : {}) })
}

const obtaining: readonly Step[] = [
  {
    name: 'a token is issued',
    status: 200,
    async ask(scene) {
      const party = partyOf(scene, 'reporter', 'reporter')
      const nonce = await party.nonce()
      const assertion = party.assertion()
      const dpop = party.proof('/token', { nonce })
      const form = { resource: scene.resource, grant_type: 'client_credentials' }
      const answer = await party.post('/token', asClient(form, assertion), { dpop })
      if (answer.status === 200)
        for (const [name, text] of [
          ['assertion', assertion],
          ['proof', dpop],
        ] as const)
          scene.kept.set(name, text)
      return answer
    },
    keep: ({ kept }, { body }) => void kept.set('token', body.access_token),
  },
  {
    name: 'a scope that was not granted is refused',
    status: 400,
    ask: scene =>
      partyOf(scene, 'reporter', 'reporter').tokenRequest({ resource: scene.resource, scope: 'write' }),
  },
  {
    name: 'an assertion that was used before is refused',
    status: 401,
    ask: scene =>
      partyOf(scene, 'reporter', 'reporter').tokenRequest({
        resource: scene.resource,
        client_assertion: keptOf(scene, 'assertion'),
      }),
  },
  {
    name: 'a proof that was used before is refused',
    status: 400,
    ask: scene =>
      partyOf(scene, 'reporter', 'reporter').tokenRequest(
        { resource: scene.resource },
        { dpop: keptOf(scene, 'proof') },
      ),
  },
]

const introspecting: readonly Step[] = [
  {
    name: 'the operator introspects a token',
    status: 200,
    ask: scene => introspected(scene, { asked: 'operator', token: 'token', active: true }),
  },
  {
    name: 'somebody who may not see a token introspects it',
    status: 200,
    ask: scene => introspected(scene, { asked: 'reporter', token: 'token', active: false }),
  },
  {
    name: 'a token is revoked by its holder',
    status: 200,
    ask: scene => {
      const party = partyOf(scene, 'reporter', 'reporter')
      return party.post('/revoke', asClient({ token: keptOf(scene, 'token') }, party.assertion()))
    },
  },
  {
    name: 'a token that is not its own is revoked by nobody',
    status: 200,
    ask: scene => {
      const party = partyOf(scene, 'second', 'second')
      return party.post('/revoke', asClient({ token: keptOf(scene, 'token') }, party.assertion()))
    },
  },
  {
    name: 'the operator introspects a token that is dead',
    status: 200,
    ask: scene => introspected(scene, { asked: 'operator', token: 'token', active: false }),
  },
]

const calling: readonly Step[] = [
  {
    name: 'the management API is read',
    status: 200,
    ask: scene => scene.operator.manage('GET', `/agents/${idOf(scene, 'reporter')}`),
  },
  {
    name: 'a caller without the scope is refused',
    status: 403,
    ask: scene => call(scene, 'POST', '/grants', 'writ:agents:read'),
  },
  {
    name: 'the audit log is read',
    status: 200,
    ask: scene => call(scene, 'GET', '/audit/entries?from=0&to=10', 'writ:events:read'),
  },
  {
    name: 'the audit log is exported',
    status: 200,
    ask: scene => call(scene, 'GET', '/audit/export', 'writ:events:read'),
  },
  {
    name: 'metrics are read with a token',
    status: 200,
    ask: scene => call(scene, 'GET', '/metrics', 'writ:events:read'),
  },
  {
    name: 'a token of the management API is revoked',
    status: 200,
    async ask(scene) {
      const doomed = await tokenFor(scene, 'writ:people:read')
      if (typeof doomed !== 'string') return doomed
      return scene.operator.post('/revoke', asClient({ token: doomed }, scene.operator.assertion()))
    },
  },
  {
    name: 'a dead token is refused at the management API',
    status: 401,
    ask: scene =>
      scene.operator.call('GET', `${management(scene)}/people`, {
        token: keptOf(scene, 'token writ:people:read'),
      }),
  },
]

export const tokens: readonly Step[] = [...obtaining, ...introspecting, ...calling]
