// The steps of the history about people and about other OAuth clients.
import { basic, configure, postForm } from '../harness/client.ts'
import { idOf, keepId, keptOf, pairOf, type Scene, type Step } from './scene.ts'

const change = (name: string, method: string, path: (scene: Scene) => string, body?: unknown): Step => ({
  name,
  status: method === 'DELETE' ? 204 : 200,
  ...(method === 'PATCH' ? {} : { again: method === 'DELETE' ? 404 : 409 }),
  ask: scene => scene.operator.manage(method, path(scene), body),
})

const person = (scene: Scene): string => `/people/${idOf(scene, 'person')}`
const client = (scene: Scene): string => `/clients/${idOf(scene, 'client')}`
const reason = { reason: 'Breaks' }

const people: readonly Step[] = [
  {
    name: 'a person is created',
    status: 201,
    again: 409,
    ask: ({ operator, mark }) => operator.manage('POST', '/people', { login: `alice-${mark}` }),
    keep: keepId('person'),
    find: ({ operator, mark }) => operator.manage('GET', `/people?login=alice-${mark}`),
  },
  change('a person is changed', 'PATCH', person, { name: 'Alice' }),
  change('a person is suspended', 'POST', scene => `${person(scene)}/suspend`, reason),
  change('a person is resumed', 'POST', scene => `${person(scene)}/resume`, reason),
  change('a person is deleted', 'DELETE', person),
]

const secrets: readonly Step[] = [
  change('another client moves to a secret', 'PATCH', client, {
    token_endpoint_auth_method: 'client_secret_basic',
  }),
  {
    name: 'another client gets another registration token',
    status: 201,
    ask: scene => scene.operator.manage('POST', `${client(scene)}/registration-token`, reason),
    keep: ({ kept }, { body }) => void kept.set('registration token', body.registration_access_token),
  },
  {
    name: 'another client replaces its registration',
    status: 200,
    ask: scene => {
      const id = idOf(scene, 'client')
      const registration = {
        uri: `/register/${id}`,
        token: keptOf(scene, 'registration token'),
      }
      return configure(scene, 'PUT', registration, { client_id: id, client_name: 'Dashboard' })
    },
  },
  {
    name: 'another client gets the next secret',
    status: 201,
    ask: scene => scene.operator.manage('POST', `${client(scene)}/secrets`, {}),
    keep({ ids, kept }, { body }) {
      ids.set('secret', body.id)
      kept.set('secret', body.client_secret)
    },
  },
  {
    name: 'another client proves itself by its secret',
    status: 200,
    ask: scene => {
      const authorization = basic(idOf(scene, 'client'), keptOf(scene, 'secret'))
      return postForm(scene, '/introspect', { token: 'x' }, { authorization })
    },
  },
  change(
    'a secret of another client is revoked',
    'POST',
    scene => `${client(scene)}/secrets/${idOf(scene, 'secret')}/revoke`,
    reason,
  ),
]

const clients: readonly Step[] = [
  {
    name: 'another client is registered',
    status: 201,
    ask: scene =>
      scene.operator.manage(
        'POST',
        '/clients',
        {
          client_name: `dashboard ${scene.mark}`,
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [pairOf(scene, 'client').verify.jwk] },
        },
        { 'idempotency-key': `client-${scene.mark}` },
      ),
    keep: ({ ids }, { body }) => void ids.set('client', body.client_id),
  },
  change('another client is changed', 'PATCH', client, { client_name: 'Another dashboard' }),
  {
    name: 'another client gets another key',
    status: 200,
    ask: scene =>
      scene.operator.manage('PATCH', client(scene), {
        jwks: { keys: [pairOf(scene, 'stranger').verify.jwk] },
      }),
  },
  ...secrets,
  change('another client is suspended', 'POST', scene => `${client(scene)}/suspend`, reason),
  change('another client is resumed', 'POST', scene => `${client(scene)}/resume`, reason),
  change('another client is deleted', 'DELETE', client),
]

export const peopleAndClients: readonly Step[] = [...people, ...clients]
