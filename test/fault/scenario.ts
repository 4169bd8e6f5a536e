// One history through every writing path there is, as steps: each asks once, and can ask again after anything.
import { answerOf } from '../harness/party.ts'
import { authorization } from './scenario-authorization.ts'
import { peopleAndClients } from './scenario-owners.ts'
import { rotationsAndSecrets } from './scenario-rotations.ts'
import { tokens } from './scenario-tokens.ts'
import { idOf, keepId, keptOf, pairOf, partyOf, type Scene, type Step } from './scene.ts'

const agentOf = ({ operator, mark }: Scene, name: string, keys: readonly unknown[]) => ({
  name: `${name} ${mark}`,
  owner: operator.clientId,
  purpose: 'Breaks',
  ...(keys.length === 0 ? {} : { jwks: { keys } }),
})

const resources: readonly Step[] = [
  {
    name: 'a resource is registered',
    status: 201,
    again: 409,
    ask: ({ operator, resource }) =>
      operator.manage('POST', '/resources', {
        identifier: resource,
        name: 'API',
        scopes: [
          { name: 'read', description: 'Reads' },
          { name: 'write', description: 'Writes' },
        ],
      }),
    keep: keepId('resource'),
    find: ({ operator, resource }) =>
      operator.manage('GET', `/resources?identifier=${encodeURIComponent(resource)}`),
  },
  {
    name: 'a resource is changed',
    status: 200,
    ask: scene =>
      scene.operator.manage('PATCH', `/resources/${idOf(scene, 'resource')}`, { name: 'Another name' }),
  },
]

const agents: readonly Step[] = [
  {
    name: 'an agent is created with a key',
    status: 201,
    again: 409,
    ask: scene =>
      scene.operator.manage(
        'POST',
        '/agents',
        agentOf(scene, 'reporter', [pairOf(scene, 'reporter').verify.jwk]),
      ),
    keep: keepId('reporter'),
    find: ({ operator, mark }) =>
      operator.manage('GET', `/agents?name=${encodeURIComponent(`reporter ${mark}`)}`),
  },
  {
    name: 'an agent is created with an Idempotency-Key',
    status: 201,
    ask: scene =>
      scene.operator.manage(
        'POST',
        '/agents',
        agentOf(scene, 'second', [pairOf(scene, 'second').verify.jwk]),
        {
          'idempotency-key': `second-${scene.mark}`,
        },
      ),
    keep: keepId('second'),
  },
  {
    name: 'the same agent is asked for again with the same Idempotency-Key',
    status: 201,
    async ask(scene) {
      const answer = await scene.operator.manage(
        'POST',
        '/agents',
        agentOf(scene, 'second', [pairOf(scene, 'second').verify.jwk]),
        { 'idempotency-key': `second-${scene.mark}` },
      )
      if (answer.status === 201 && answer.body.id !== idOf(scene, 'second'))
        throw new Error('one Idempotency-Key made two agents')
      return answer
    },
  },
  {
    name: 'an agent is changed',
    status: 200,
    ask: scene =>
      scene.operator.manage('PATCH', `/agents/${idOf(scene, 'reporter')}`, { purpose: 'Breaks again' }),
  },
  {
    name: 'a grant is given',
    status: 201,
    ask: scene =>
      scene.operator.manage('POST', '/grants', {
        agent: idOf(scene, 'reporter'),
        resource: scene.resource,
        scopes: ['read'],
        reason: 'Breaks',
      }),
    keep: keepId('grant'),
  },
]

const keys: readonly Step[] = [
  {
    name: 'an enrolment token is made',
    status: 201,
    ask: scene => scene.operator.manage('POST', `/agents/${idOf(scene, 'second')}/enrollments`),
    keep: ({ kept }, { body }) => void kept.set('enrollment', body.token),
  },
  {
    // Asked again with the same key it is the retry of a lost answer, and answered alike.
    name: 'an instance enrols',
    status: 201,
    async ask(scene) {
      const pair = pairOf(scene, 'enrolled')
      const proof = partyOf(scene, 'second', 'enrolled').proof('/enroll', { key: pair.sign })
      return answerOf(
        await scene.fetch('/enroll', {
          method: 'POST',
          headers: { 'content-type': 'application/json', dpop: proof },
          body: JSON.stringify({ token: keptOf(scene, 'enrollment'), jwk: pair.verify.jwk }),
        }),
      )
    },
    keep: ({ ids }, { body }) => void ids.set('instance', body.instance),
  },
  {
    // Likewise.
    name: 'an instance rotates its key',
    status: 200,
    async ask(scene) {
      const old = partyOf(scene, 'second', 'enrolled')
      const { sign, verify } = pairOf(scene, 'successor')
      return answerOf(
        await scene.fetch('/rekey', {
          method: 'POST',
          headers: { 'content-type': 'application/json', dpop: old.proof('/rekey', { key: sign }) },
          body: JSON.stringify({
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
            client_assertion: old.assertion({ cnf: { jkt: sign.jkt } }),
            jwk: verify.jwk,
          }),
        }),
      )
    },
  },
  {
    name: 'a key is registered',
    status: 201,
    again: 409,
    ask: scene =>
      scene.operator.manage('POST', `/agents/${idOf(scene, 'reporter')}/keys`, {
        jwk: pairOf(scene, 'extra').verify.jwk,
      }),
  },
  {
    name: 'a key is revoked',
    status: 200,
    again: 409,
    ask: scene =>
      scene.operator.manage(
        'POST',
        `/agents/${idOf(scene, 'reporter')}/keys/${pairOf(scene, 'extra').verify.jkt}/revoke`,
        { reason: 'Breaks' },
      ),
  },
]

const move = (agent: string, verb: 'suspend' | 'resume' | 'retire'): Step => ({
  name: `an agent is ${verb === 'resume' ? 'resumed' : `${verb.replace(/e$/, '')}ed`}`,
  status: 200,
  again: 409,
  ask: scene => scene.operator.manage('POST', `/agents/${idOf(scene, agent)}/${verb}`, { reason: 'Breaks' }),
})

const ends: readonly Step[] = [
  {
    name: 'a successor of the issuer key is staged',
    status: 200,
    ask: ({ operator }) => operator.manage('POST', '/issuer/keys/rotate'),
  },
  {
    name: 'a grant is taken back',
    status: 204,
    ask: scene => scene.operator.manage('DELETE', `/grants/${idOf(scene, 'grant')}`),
  },
  {
    name: 'a resource is deleted',
    status: 204,
    again: 404,
    ask: scene => scene.operator.manage('DELETE', `/resources/${idOf(scene, 'resource')}`),
  },
  move('second', 'retire'),
]

const suspended: readonly Step[] = [
  move('second', 'suspend'),
  {
    name: 'a token is refused to a suspended agent',
    status: 401,
    ask: scene => partyOf(scene, 'second', 'second').tokenRequest({ resource: scene.resource }),
  },
  move('second', 'resume'),
]

/** The whole history, in order. */
export const steps: readonly Step[] = [
  ...resources,
  ...agents,
  ...tokens,
  ...keys,
  ...suspended,
  ...peopleAndClients,
  ...authorization,
  ...rotationsAndSecrets,
  ...ends,
]
