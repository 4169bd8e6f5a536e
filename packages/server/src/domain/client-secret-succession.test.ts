// How secrets follow one another: whatever is asked in whatever order, never more than two live, and never none of two.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClientId, ClientSecretId, RotationId } from '@writ/sdk/protocol/identifier'
import fc from 'fast-check'
import type { Put, Versioned } from './change.ts'
import type { Client } from './client.ts'
import { type ClientSecret, isClientSecretLive, mostLiveSecrets } from './client-secret.ts'
import { endSecrets, reviveFormer, succeedSecret } from './client-secret-succession.ts'
import { hasEnded, type Rotation } from './rotation.ts'

const client: Client = {
  id: 'cli_1' as ClientId,
  name: 'gate',
  tokenEndpointAuthMethod: 'client_secret_basic',
  metadata: {},
  status: 'active',
  statusReason: null,
  createdAt: 0,
  updatedAt: 0,
}

class World {
  readonly secrets = new Map<string, Versioned<ClientSecret>>()
  readonly rotations = new Map<string, Versioned<Rotation>>()
  readonly used = new Set<string>()
  #made = 0

  live(): Versioned<ClientSecret>[] {
    return [...this.secrets.values()].filter(secret => isClientSecretLive(secret, 1))
  }

  open(): Versioned<Rotation>[] {
    return [...this.rotations.values()].filter(rotation => !hasEnded(rotation))
  }

  commit(puts: readonly Put[]): void {
    for (const { put, value, ifVersion } of puts) {
      const into = put === 'rotation' ? this.rotations : this.secrets
      const { id } = value as { id: string }
      assert.equal(into.get(id)?.version ?? 0, ifVersion)
      into.set(id, { ...value, version: ifVersion + 1 } as never)
    }
  }

  ask(): boolean {
    this.#made += 1
    const live = this.live()
    const next: ClientSecret = {
      id: `csc_${this.#made}` as ClientSecretId,
      client: client.id,
      hash: String(this.#made),
      state: 'active',
      createdAt: 1,
      expiresAt: null,
      stateAt: 1,
    }
    const succeeded = succeedSecret(
      {
        client,
        live,
        next,
        isNewestUsed: this.used.has(live.at(-1)?.id ?? ''),
        rotation: this.open().find(({ from }) => from === live[0]?.id),
        rotationId: `rot_${this.#made}` as RotationId,
        reason: 'test',
        drainSeconds: 10,
        drainLimitSeconds: 100,
      },
      1,
    )
    if (succeeded === undefined) return false
    this.commit(succeeded.puts)
    return true
  }

  revokeNewest(): void {
    const newest = this.live().at(-1)
    if (newest === undefined) return
    const rotation = this.open().find(({ to }) => to === newest.id)
    const former = this.live().find(({ id, state }) => id === rotation?.from && state === 'retiring')
    this.commit(endSecrets([newest], 'revoked', 1).puts)
    if (rotation && former) this.commit(reviveFormer(former, rotation, 1))
  }
}

test('in whatever order it is asked, used and revoked, two live at most and one of them is in use', () => {
  const step = fc.constantFrom('ask', 'use', 'revoke')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const world = new World()
      for (const one of steps) {
        const before = world.live()
        const newest = before.at(-1)
        if (one === 'use' && newest !== undefined) world.used.add(newest.id)
        if (one === 'revoke') world.revokeNewest()
        if (one === 'ask') {
          const isFull = before.length === mostLiveSecrets && world.used.has(newest?.id ?? '')
          assert.equal(world.ask(), !isFull)
        }
        const live = world.live()
        assert.ok(live.length <= mostLiveSecrets)
        assert.equal(live.filter(({ state }) => state === 'active').length, Math.min(1, live.length))
        // Two live exactly while one rotation is between them.
        assert.equal(world.open().length, live.length === 2 ? 1 : 0)
        // Nobody who used a secret loses it by somebody asking for the next.
        if (one === 'ask')
          for (const { id } of before) assert.ok(!world.used.has(id) || live.some(s => s.id === id))
      }
    }),
  )
})

test('what has ended stays as it ended', () => {
  const ended = { ...({} as Versioned<ClientSecret>), state: 'retired' as const }
  assert.deepEqual(endSecrets([ended], 'revoked', 1), { puts: [], signals: [] })
})
