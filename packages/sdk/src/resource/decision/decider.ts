// Asks the decision point about each operation: AuthZEN Authorization API 1.0. Whatever goes wrong on the way is a no.
import type { Agent } from '../../agent/agent.ts'
import { Fault, isFault } from '../../protocol/fault.ts'
import { parseJsonObject } from '../../protocol/json.ts'
import type { Caller } from '../caller.ts'
import type { Clock } from '../clock.ts'
import { haltedTool } from '../issuer/ends.ts'
import type { Revocations } from '../issuer/revocations.ts'
import { unavailable } from '../tokens.ts'
import { type AnswerCache, answerCache, type Keepable } from './cache.ts'
import { type Act, type Amounts, questionOf, textOf } from './question.ts'
import { type Reports, reportsTo } from './reports.ts'

export interface DecisionOptions {
  /** Who asks: an agent with a grant of `writ:decisions:evaluate` at the issuer's management API. */
  readonly agent: Agent
  /** Permissions that may be given again are kept, at most so many. Default 10,000; 0 asks about each operation. */
  readonly cached?: number
  /** No permission without an end of its own is given again for longer. Default 60. */
  readonly longestSeconds?: number
  /** How long an answer is waited for. Default 2; after it the operation is refused. */
  readonly withinSeconds?: number
}

/** A permission. There is no other kind: a refusal is thrown. */
export interface Permission {
  /** The id of the request at the decision point: its entry in the audit log says why. */
  readonly decision: string
  /** Where amounts were reserved: what to settle, and until when (epoch seconds). */
  readonly reservation: { readonly id: string; readonly expiresAt: number } | null
  readonly fromMemory: boolean
}

export interface Decider {
  /**
   * Throws `access_denied` where the answer is no, `temporarily_unavailable` where there is none: the decision point
   * was away, slow, or said what is no answer.
   */
  decide(caller: Caller, act: Act): Promise<Permission>
  /** Tells what a reserved call really cost. Throws `conflict` where it is too late, `temporarily_unavailable`. */
  settle(reservation: string, amounts: Amounts): Promise<void>
  /** Sends what was answered from memory. */
  close(): Promise<void>
}

export interface DeciderSite {
  readonly issuer: string
  /** Canonical. */
  readonly resource: string
  readonly clock: Clock
  readonly revocations: Pick<Revocations, 'generation' | 'endedAt'>
  /** Why nothing is decided for this caller any more, not even from memory: its token ended, or contact to the issuer. */
  endOf(caller: Caller): Fault | undefined
  /** Whether the issuer has halted this tool of the resource. */
  isHalted(tool: string): boolean
  onTrouble(problem: unknown): void
}

interface Answered {
  readonly permission: Permission
  readonly keepable: Keepable | undefined
}

const largestAnswer = 65_536
/** How often it is asked about an operation of which something ended while the answer was on its way. */
const mostAsked = 3

const denied = (caller: Caller, decision: string): Fault =>
  new Fault('access_denied', 'This is not allowed.', { kind: 'decided', agent: caller.agent, decision })

export function createDecider(site: DeciderSite, options: DecisionOptions): Decider {
  const { agent, cached = 10_000, longestSeconds = 60, withinSeconds = 2 } = options
  if (!(Number.isSafeInteger(cached) && cached >= 0 && longestSeconds >= 0 && withinSeconds > 0))
    throw new RangeError('cached, longestSeconds and withinSeconds must be numbers from 0 on')
  if (agent.issuer !== site.issuer) throw new RangeError('the agent that asks must be one of the same issuer')
  const audience = `${site.issuer.replace(/\/$/, '')}/api/v1`
  const base = `${site.issuer.replace(/\/$/, '')}/access/v1`
  const cache: AnswerCache<Permission> | undefined =
    cached === 0
      ? undefined
      : answerCache({
          limit: Math.max(2, cached),
          ends: site.revocations,
          now: () => site.clock.wallMs() / 1000,
          steadyNow: () => site.clock.steadyMs() / 1000,
          longestSeconds,
        })
  const reports: Reports = reportsTo({
    agent,
    url: `${base}/reports`,
    audience,
    clock: site.clock,
    onTrouble: site.onTrouble,
  })

  const post = async (path: string, body: string): Promise<Response> => {
    try {
      return await agent.fetch(`${base}/${path}`, {
        method: 'POST',
        resource: audience,
        scope: 'writ:decisions:evaluate',
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(withinSeconds * 1000),
      })
    } catch (problem) {
      site.onTrouble(problem)
      throw unavailable('no_decision')
    }
  }

  // What is sent is the key itself: nothing can be one thing in the question and another in memory.
  const ask = async (caller: Caller, key: string): Promise<Answered> => {
    const answer = await post(
      'evaluation',
      cache === undefined ? key : `${key.slice(0, -1)},"options":{"cache":true}}`,
    )
    const decision = answer.headers.get('x-request-id') ?? ''
    const text = await boundedText(answer)
    const body = answer.status === 200 ? parseJsonObject(text, { maxBytes: largestAnswer }) : undefined
    if (body === undefined || typeof body['decision'] !== 'boolean') {
      site.onTrouble(new Error(`the decision point answered ${answer.status}`))
      throw unavailable('no_decision')
    }
    if (body['decision'] !== true) throw denied(caller, decision)
    const context = isObject(body['context']) ? body['context'] : {}
    return {
      permission: Object.freeze({ decision, reservation: reservationIn(context), fromMemory: false }),
      // Without the id of the request nobody could be told what it is that was given again.
      keepable: decision === '' ? undefined : keepableIn(context),
    }
  }

  const mustStand = (caller: Caller, tool: string | undefined): void => {
    const ended = site.endOf(caller)
    if (ended !== undefined) throw ended
    if (tool !== undefined && site.isHalted(tool)) throw haltedTool(caller, tool)
  }

  return {
    async decide(caller, act) {
      const tool = act.object?.type === 'tool' ? act.object.id : undefined
      mustStand(caller, tool)
      const question = questionOf(site.resource, caller, act)
      const key = textOf(question)
      // It would be decided on something else than what is done.
      if (key === undefined) throw new TypeError('an act is made of what JSON carries exactly')
      const known = cache?.get(key)
      if (known !== undefined) {
        reports.add(key, question, known.decision)
        return { ...known, fromMemory: true }
      }
      for (let count = 0; count < mostAsked; count += 1) {
        const { permission, keepable } = await ask(caller, key)
        // Whatever ended while it was asked about, ends it.
        mustStand(caller, tool)
        if (cache === undefined || keepable === undefined || permission.reservation !== null)
          return permission
        if (!cache.isEnded(keepable)) {
          cache.keep(key, keepable, permission)
          return permission
        }
      }
      throw unavailable('no_decision')
    },
    async settle(reservation, amounts) {
      const answer = await post('settlements', JSON.stringify({ reservation, amounts }))
      await answer.body?.cancel()
      if (answer.status === 200 || answer.status === 204) return
      if (answer.status === 409)
        throw new Fault('conflict', 'This reservation is settled or over.', {
          kind: 'unsettled',
          reservation,
        })
      throw unavailable('no_settlement')
    },
    close: () => reports.close(),
  }
}

async function boundedText(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength
      if (size > largestAnswer) throw unavailable('no_decision')
      chunks.push(chunk)
    }
  } catch (problem) {
    if (isFault(problem)) throw problem
    throw unavailable('no_decision')
  }
  return Buffer.concat(chunks).toString()
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const instantOf = (value: unknown): number | undefined => {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? undefined : at / 1000
}

function reservationIn({ reservation }: Record<string, unknown>): Permission['reservation'] {
  if (!isObject(reservation)) return null
  const { id, expires_at } = reservation
  const expiresAt = instantOf(expires_at)
  // Reserved and not understood: it stands as spent, and nobody may believe that nothing was.
  if (typeof id !== 'string' || expiresAt === undefined) throw unavailable('no_decision')
  return { id, expiresAt }
}

/** What may be kept; undefined for what is not marked so, or not understood: then it is asked about again. */
function keepableIn({ cache }: Record<string, unknown>): Keepable | undefined {
  if (!isObject(cache)) return undefined
  const { until, epoch, subjects } = cache
  const end = until === null ? null : instantOf(until)
  if (end === undefined || !Number.isSafeInteger(epoch) || !Array.isArray(subjects)) return undefined
  if (!subjects.every(subject => typeof subject === 'string')) return undefined
  return { until: end, epoch: epoch as number, subjects }
}
