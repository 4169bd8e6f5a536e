// Risk: events from outside set the score of an agent, an instance, a session or a person; policies read it at the next call.
import { Fault } from '@writ/sdk/protocol/fault'
import { prefixOf } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { type Risk, riskSubject, scoreAt } from '../../domain/authorization/risk.ts'
import { mustBeFuture } from '../agents/agents.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

const riskShown = z
  .strictObject({
    subject: z.string(),
    score: z.number().int().min(0).max(100),
    reason: z.string(),
    source: z.string(),
    created_at: wire.shownInstant,
    expires_at: wire.shownInstant.nullable(),
  })
  .meta({ id: 'Risk' })

const showRisk = (risk: Risk, now: number): z.input<typeof riskShown> => ({
  subject: risk.id,
  score: scoreAt(risk, now),
  reason: risk.reason,
  source: risk.source,
  created_at: wire.rfc3339(risk.createdAt),
  expires_at: wire.rfc3339OrNull(risk.expiresAt),
})

/** Whose score it may be, and how it is seen that there is such a one. */
async function mustExist(ctx: Ctx, deps: Reads, subject: string): Promise<void> {
  const { agents, sessions, people } = deps.store
  const found = {
    agt: () => agents.get(ctx, subject),
    ins: () => agents.instance(ctx, subject),
    ses: () => sessions.get(ctx, subject),
    usr: () => people.get(ctx, subject),
  } as const
  const prefix = prefixOf(subject)
  if (prefix !== undefined && Object.hasOwn(found, prefix) && (await found[prefix as keyof typeof found]()))
    return
  throw new Fault('invalid_value', 'The subject must be an agent, an instance, a session or a person.', {
    kind: 'unknown_subject',
  })
}

const report = operation({
  id: 'risks.report',
  event: 'risk.reported',
  method: 'POST',
  path: '/risks',
  summary: 'Say how risky a subject is; policies see it from the next call on',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      subject: z.string().min(1).max(64),
      score: z.number().int().min(0).max(100),
      reason: wire.reason,
      expires_at: wire.instant.nullable().optional(),
    })
    .meta({ id: 'RiskReport' }),
  // Whoever reports it last is right; none of many reports of one moment is lost.
  insists: true,
  status: 200,
  answer: riskShown,
  async decide(ctx, deps, { body }, caller) {
    mustBeFuture(ctx, body.expires_at ?? null)
    await mustExist(ctx, deps, body.subject)
    const known = await deps.store.risks.get(ctx, body.subject)
    const risk: Risk = {
      id: body.subject,
      score: body.score,
      reason: body.reason,
      source: caller.id,
      createdAt: ctx.now,
      expiresAt: body.expires_at ?? null,
    }
    return {
      change: {
        puts: [{ put: 'risk', value: risk, ifVersion: known?.version ?? 0 }],
        // A policy may read a score either way, so either way what was decided under the former one is over.
        signals: [{ subject: riskSubject(risk.id), kind: 'narrowed' }],
      },
      about: {
        ...(prefixOf(risk.id) === 'agt' ? { agent: risk.id } : {}),
        ...(prefixOf(risk.id) === 'usr' ? { person: risk.id } : {}),
        reason: body.reason,
        facts: { subject: risk.id, score: risk.score, before: known?.score ?? null },
      },
      answer: showRisk(risk, ctx.now),
    }
  },
})

const list = operation({
  id: 'risks.list',
  event: readEvent,
  method: 'GET',
  path: '/risks',
  summary: 'List the scores that were reported',
  params: wire.noParams,
  query: z.strictObject({ ...wire.paging }),
  body: null,
  status: 200,
  answer: wire.listOf(riskShown),
  async decide(ctx, deps, { query }) {
    const page = await deps.store.risks.list(ctx, wire.pageOf(query))
    return { about: {}, answer: wire.shownPage(page, risk => showRisk(risk, ctx.now)) }
  },
})

export const riskOperations = [report, list]
