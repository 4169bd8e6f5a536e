// The signing keys of this authority: see their states, and rotate them.
import { algorithmsOf } from '@writ/sdk/protocol/algorithms'
import { z } from 'zod'
import type { IssuerKey } from '../../domain/issuer-key.ts'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

const issuerAlgorithms = algorithmsOf('issuer')

const issuerKeyShown = z
  .strictObject({
    kid: z.string(),
    alg: z.string(),
    state: z.enum(['staged', 'active', 'retiring', 'retired']),
    state_at: wire.shownInstant,
    created_at: wire.shownInstant,
    activates_at: wire.shownInstant.meta({ description: 'When a staged key begins to sign' }),
    retires_at: wire.shownInstant
      .nullable()
      .meta({ description: 'When the last token it signed has expired' }),
    jwk: z.record(z.string(), z.unknown()).nullable(),
  })
  .meta({ id: 'IssuerKey' })

function showIssuerKey(key: Omit<IssuerKey, 'sealed'>): z.input<typeof issuerKeyShown> {
  return {
    kid: key.kid,
    alg: key.alg,
    state: key.state,
    state_at: wire.rfc3339(key.stateAt),
    created_at: wire.rfc3339(key.createdAt),
    activates_at: wire.rfc3339(key.activatesAt),
    retires_at: wire.rfc3339OrNull(key.retiresAt),
    jwk: key.jwk === null ? null : { ...key.jwk },
  }
}

const list = operation({
  id: 'issuer-keys.list',
  event: readEvent,
  method: 'GET',
  path: '/issuer/keys',
  summary: 'List the keys that sign tokens, with their states and instants, oldest first',
  params: wire.noParams,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: wire.listOf(issuerKeyShown),
  async decide(ctx, deps) {
    const keys = await deps.store.issuerKeys.list(ctx)
    const shown = keys.filter(key => key.purpose === 'token').map(showIssuerKey)
    return { about: {}, answer: { items: shown, next: null } }
  },
})

const rotate = operation({
  id: 'issuer-keys.rotate',
  event: 'issuer_key.staged',
  method: 'POST',
  path: '/issuer/keys/rotate',
  summary:
    'Stage a successor: published at once, signing after the publication time, its predecessor retired then',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      alg: z
        .enum(issuerAlgorithms)
        .optional()
        .meta({ description: 'Of the successor; left out for that of the key which signs now' }),
    })
    .optional()
    .meta({ id: 'IssuerKeyRotate' }),
  status: 200,
  answer: issuerKeyShown,
  async decide(ctx, deps, { body }) {
    const { staged, rotation, puts, signals, bases } = await deps.planRotation(ctx, {
      alg: body?.alg ?? null,
    })
    return {
      change: { puts, signals, bases },
      about: {
        // A successor waits already: a second one must not push it out before it has signed.
        reason: puts.length === 0 ? 'already_staged' : null,
        facts: {
          kid: staged.kid,
          purpose: staged.purpose,
          alg: staged.alg,
          activates_at: wire.rfc3339(staged.activatesAt),
          rotation: rotation?.id ?? null,
        },
      },
      answer: showIssuerKey(staged),
    }
  },
})

export const issuerKeyOperations = [list, rotate]
