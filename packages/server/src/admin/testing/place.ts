// One tenant of a store with an operator who may do everything, for tests of what is committed.
import { randomBytes, randomUUID } from 'node:crypto'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { type AgentId, newId } from '@writ/sdk/protocol/identifier'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import type { Ctx } from '../../context.ts'
import type { Caller } from '../../domain/caller.ts'
import type { Change } from '../../domain/change.ts'
import type { TenantId } from '../../domain/tenant.ts'
import type { Store } from '../../store/store.ts'
import { managementScopes } from '../access.ts'
import { bootstrap } from '../bootstrap.ts'
import type { AdminDeps, Answer } from '../operation.ts'
import { operations } from '../operations.ts'
import { perform } from '../perform.ts'

/** Every single right at the management API. */
export const leaves = managementScopes().flatMap(scope => (scope.includes.length === 0 ? [scope.name] : []))

const now = 1_800_000_000

/** One tenant of a store, with an operator who may do everything. */
export class Place {
  readonly store: Store
  readonly tenant: TenantId
  readonly operator: AgentId
  /** Runs once, just before the next commit. */
  before: (() => Promise<unknown>) | undefined
  broken = false

  /** Of the same tenant on another node where `operator` is given. */
  constructor(store: Store, tenant: string, operator: AgentId = newId('agt', randomBytes)) {
    this.store = store
    this.tenant = tenant as TenantId
    this.operator = operator
  }

  get ctx(): Ctx {
    const issuer = `https://${this.tenant}.example`
    const rest = { traceId: undefined, peer: undefined, note: () => {} }
    return { tenant: this.tenant, issuer, now, nowMs: now * 1000, requestId: randomUUID(), ...rest }
  }

  async found(): Promise<this> {
    await this.store.tenants.ensure({ id: this.tenant, issuer: this.ctx.issuer, createdAt: 0 })
    const founder = { id: this.operator, jwk: generateKeyPair('ES256').verify.jwk }
    await bootstrap(this.ctx, { store: this.store, randomBytes }, () => founder)
    return this
  }

  get deps(): AdminDeps {
    const commit: Store['commit'] = async (ctx, change: Change) => {
      const { before } = this
      this.before = undefined
      await before?.()
      if (this.broken) throw new Fault('temporarily_unavailable', 'The store cannot be reached.')
      return this.store.commit(ctx, change)
    }
    return {
      store: { ...this.store, commit },
      keys: { nonceMac: () => new Uint8Array(32), states: () => [] },
      settings: { enrollmentSeconds: 60, agentKeySeconds: 60 },
      randomBytes,
      // No kinds: what rotates is tried with a whole server.
      engine: { kinds: [], kindDeps: undefined as never },
      planRotation: () => Promise.reject(new Fault('conflict', 'No keys here.')),
    }
  }

  async caller(): Promise<Caller> {
    const grants = await this.store.grants.list(this.ctx, { limit: 10 }, { agent: this.operator })
    const subjects = [this.operator, ...grants.items.map(({ id }) => id)]
    return {
      id: this.operator,
      agent: this.operator,
      instance: null,
      key: 'key',
      session: null,
      task: null,
      authenticatedAt: now,
      scopes: new Set(leaves),
      claims: [{ key: randomUUID(), until: now + 60 }],
      basis: { epoch: await this.store.signals.head(this.ctx), subjects },
    }
  }

  /** The answer, or the code of the Fault. */
  async ask(
    id: string,
    params: Record<string, string> = {},
    body?: Record<string, unknown>,
    idempotencyKey?: string,
  ): Promise<Answer | string> {
    const operation = operations.find(each => each.id === id)
    if (operation === undefined) throw new Error(`there is no operation ${id}`)
    const query = new URLSearchParams()
    const raw = { params, query, body: async () => body, idempotencyKey, ifMatch: undefined }
    try {
      return await perform(this.ctx, this.deps, { operation, caller: await this.caller(), raw })
    } catch (error) {
      if (isFault(error)) return error.code
      throw error
    }
  }

  async make(
    id: string,
    body: Record<string, unknown>,
    params: Record<string, string> = {},
  ): Promise<Record<string, string>> {
    const answer = await this.ask(id, params, body)
    if (typeof answer === 'string') throw new Error(`${id}: ${answer}`)
    return answer.body as Record<string, string>
  }

  async lastEntry(): Promise<{ type: string; outcome: string; decision: { code?: string; rule: string } }> {
    const size = await this.store.log.size(this.ctx)
    const [entry] = await this.store.log.range(this.ctx, size - 1, size)
    return JSON.parse(entry?.text ?? '{}')
  }
}
