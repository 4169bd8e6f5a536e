// One more secret for a client, and the token of its registration: made here, shown once, kept as hashes.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../../context.ts'
import { type Client, hasSecrets, registrationPath, registrationTokenPrefix } from '../../domain/client.ts'
import {
  type ClientSecret,
  clientSecretPrefix,
  hashOfSecret,
  isClientSecretLive,
} from '../../domain/client-secret.ts'
import { type Succeeded, succeedSecret } from '../../domain/client-secret-succession.ts'
import type { Store } from '../../store/store.ts'

type Random = (length: number) => Uint8Array

/** 256 random bits behind a prefix. */
const newText = (prefix: string, randomBytes: Random): string =>
  prefix + Buffer.from(randomBytes(32)).toString('base64url')

export interface NewSecret {
  readonly record: ClientSecret
  readonly text: Secret<string>
}

export function newSecret(ctx: Ctx, randomBytes: Random, client: Client): NewSecret {
  const text = newText(clientSecretPrefix, randomBytes)
  const record: ClientSecret = {
    id: newId('csc', randomBytes),
    client: client.id,
    hash: hashOfSecret(text),
    state: 'active',
    createdAt: ctx.now,
    expiresAt: null,
    stateAt: ctx.now,
  }
  return { record, text: new Secret(text) }
}

export interface Registration {
  readonly uri: string
  readonly token: Secret<string>
  readonly hash: string
}

/** Where the client manages itself, and by what (RFC 7592 §3). */
export function newRegistration(ctx: Ctx, randomBytes: Random, client: Pick<Client, 'id'>): Registration {
  const text = newText(registrationTokenPrefix, randomBytes)
  return {
    uri: `${ctx.issuer}${registrationPath(client.id)}`,
    token: new Secret(text),
    hash: hashOfSecret(text),
  }
}

export interface IssueReads {
  readonly store: Pick<Store, 'clientSecrets' | 'uses' | 'rotations'>
  readonly randomBytes: Random
  readonly rules: {
    readonly drainSeconds: number
    readonly drainLimitSeconds: number
  }
}

export interface Issued extends NewSecret, Succeeded {}

/**
 * The next secret of the client; the former drains. Whoever commits it puts the client's record too, so that two who
 * ask at once come one after the other. `shown`: the secret by which it is asked for, where one was. Throws `conflict`
 * where the client has registered for no secret, or two are in use.
 */
export async function issueSecret(
  ctx: Ctx,
  deps: IssueReads,
  client: Client,
  { reason, shown }: { readonly reason: string; readonly shown: string | undefined },
): Promise<Issued> {
  if (!hasSecrets(client.tokenEndpointAuthMethod)) {
    throw new Fault(
      'conflict',
      'This client is registered for no secret: set its token_endpoint_auth_method first.',
      { kind: 'no_secret_method' },
    )
  }
  const live = (await deps.store.clientSecrets.ofClient(ctx, client.id)).filter(secret =>
    isClientSecretLive(secret, ctx.now),
  )
  const [oldest, newest] = [live[0], live.at(-1)]
  const isShown = newest !== undefined && shown !== undefined && hashOfSecret(shown) === newest.hash
  const isNewestUsed =
    isShown || (newest !== undefined && (await deps.store.uses.of(ctx, newest.id, 1)).length > 0)
  const open = await deps.store.rotations.open(ctx, 'client_secret', client.id)
  const rotation = open.find(({ from }) => from === oldest?.id)
  const made = newSecret(ctx, deps.randomBytes, client)
  const rotationId = newId('rot', deps.randomBytes)
  const about = { client, live, isNewestUsed, rotation, next: made.record, rotationId, reason, ...deps.rules }
  const succeeded = succeedSecret(about, ctx.now)
  if (succeeded === undefined) {
    throw new Fault(
      'conflict',
      'Two secrets of this client are in use: a third comes once the older is drained, or one is revoked.',
      { kind: 'two_in_use', rotation: rotation?.id },
    )
  }
  return { ...made, ...succeeded }
}
