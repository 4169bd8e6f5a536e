// The steps of the history that rotate keys, keep schedules of it, and put secrets into the vault and take them out.
import type { Answer } from '../harness/party.ts'
import { idOf, keepId, keptOf, partyOf, type Scene, type Step } from './scene.ts'

const reason = { reason: 'Breaks' }

const nameOf = ({ mark }: Scene): string => `mail-key-${mark}`
const uriOf = (scene: Scene): string => `${scene.operator.issuer}/vault/${nameOf(scene)}`
const secret = (scene: Scene): string => `/secrets/${nameOf(scene)}`

const secrets: readonly Step[] = [
  {
    name: 'a secret is put into the vault',
    status: 201,
    again: 409,
    ask: scene =>
      scene.operator.manage('POST', '/secrets', {
        name: nameOf(scene),
        value: `canary-${scene.mark}`,
        consumers: [idOf(scene, 'reporter')],
      }),
    keep: keepId('vault secret'),
    find: scene => scene.operator.manage('GET', secret(scene)),
  },
  {
    name: 'a secret is changed',
    status: 200,
    ask: scene => scene.operator.manage('PATCH', secret(scene), { description: 'Breaks' }),
  },
  {
    name: 'a secret is granted',
    status: 201,
    ask: scene =>
      scene.operator.manage('POST', '/grants', {
        agent: idOf(scene, 'reporter'),
        resource: uriOf(scene),
        scopes: ['secret:read'],
        reason: 'Breaks',
      }),
  },
  {
    name: 'a token for a secret is issued',
    status: 200,
    ask: scene =>
      partyOf(scene, 'reporter', 'reporter').tokenRequest({ resource: uriOf(scene), scope: 'secret:read' }),
    keep: ({ kept }, { body }) => void kept.set('token of the secret', body.access_token),
  },
  {
    name: 'a secret is handed out',
    status: 200,
    async ask(scene) {
      const token = keptOf(scene, 'token of the secret')
      const answer = await partyOf(scene, 'reporter', 'reporter').call('GET', uriOf(scene), { token })
      if (answer.status === 200 && answer.body.value !== `canary-${scene.mark}`)
        throw new Error(`the vault hands out ${JSON.stringify(answer.body)}`)
      return answer
    },
  },
  {
    name: 'a secret is refused to whoever stands no more among its consumers',
    status: 403,
    async ask(scene) {
      const { operator } = scene
      const barred = await operator.manage('PATCH', secret(scene), { consumers: [] })
      if (barred.status !== 200) return barred
      const token = keptOf(scene, 'token of the secret')
      return partyOf(scene, 'reporter', 'reporter').call('GET', uriOf(scene), { token })
    },
  },
  {
    name: 'the next version of a secret is given',
    status: 201,
    ask: scene =>
      scene.operator.manage('POST', `${secret(scene)}/versions`, { value: `canary-2-${scene.mark}` }),
    keep: ({ ids }, { body }) => void ids.set('rotation of the secret', body.rotation),
  },
  {
    name: 'a rotation is forced to its end',
    status: 200,
    again: 409,
    ask: scene =>
      scene.operator.manage('POST', `/rotations/${idOf(scene, 'rotation of the secret')}/force`, reason),
  },
]

const retirement: readonly Step[] = [
  {
    name: 'a secret is retired',
    status: 200,
    again: 409,
    ask: scene => scene.operator.manage('POST', `${secret(scene)}/retire`, reason),
  },
]

const schedules: readonly Step[] = [
  {
    name: 'a schedule is made',
    status: 201,
    again: 409,
    ask: ({ operator }) =>
      operator.manage('POST', '/schedules', { kind: 'instance_key', max_age_seconds: 86_400 }),
    keep: keepId('schedule'),
    find: ({ operator }) => operator.manage('GET', '/schedules?kind=instance_key'),
  },
  {
    name: 'a schedule is changed',
    status: 200,
    ask: scene =>
      scene.operator.manage('PATCH', `/schedules/${idOf(scene, 'schedule')}`, { jitter_seconds: 60 }),
  },
  {
    name: 'a schedule is deleted',
    status: 204,
    again: 404,
    ask: scene => scene.operator.manage('DELETE', `/schedules/${idOf(scene, 'schedule')}`),
  },
]

/** A rotation of the kind that waits for its successor. */
const staged = ({ operator }: Scene, kind: string, target: string): Promise<Answer> =>
  operator.manage('GET', `/rotations?kind=${kind}&target=${target}&state=staged`)

const decide = (verb: 'retry' | 'cancel', name: string): Step => ({
  name,
  status: 200,
  ...(verb === 'cancel' ? { again: 409 } : {}),
  ask: scene => scene.operator.manage('POST', `/rotations/${idOf(scene, 'rotation')}/${verb}`, reason),
})

const rotations: readonly Step[] = [
  {
    name: 'an instance is asked to rotate its key',
    status: 201,
    again: 409,
    ask: scene =>
      scene.operator.manage('POST', '/rotations', {
        kind: 'instance_key',
        target: idOf(scene, 'instance'),
        ...reason,
      }),
    keep: keepId('rotation'),
    find: scene => staged(scene, 'instance_key', idOf(scene, 'instance')),
  },
  decide('retry', 'a rotation is looked at again'),
  decide('cancel', 'a rotation is cancelled'),
  {
    name: 'every instance is asked to rotate its key',
    status: 200,
    ask: scene => scene.operator.manage('POST', '/rotations/batch', { kind: 'instance_key', ...reason }),
  },
  {
    // Overtakes the rotation that the batch began.
    name: 'the key of an instance is cut',
    status: 201,
    again: 409,
    ask: scene =>
      scene.operator.manage('POST', '/rotations', {
        kind: 'instance_key',
        target: idOf(scene, 'instance'),
        emergency: true,
        ...reason,
      }),
  },
  {
    name: 'a rotation of the key of the vault is begun',
    status: 201,
    again: 409,
    ask: scene => scene.operator.manage('POST', '/rotations', { kind: 'tenant_key', ...reason }),
  },
]

export const rotationsAndSecrets: readonly Step[] = [...secrets, ...schedules, ...rotations, ...retirement]
