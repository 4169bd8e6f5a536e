// The root in Transit: the contract of roots against an endpoint that behaves like it, or a real one, and every refusal.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { rootSealerContract } from './contract.ts'
import type { RootSealer } from './sealer.ts'
import { TransitEndpoint } from './testing/transit-endpoint.ts'
import { transit } from './transit.ts'

const folder = mkdtempSync(join(tmpdir(), 'writ-transit-'))
const endpoint = await TransitEndpoint.start()
after(async () => {
  await endpoint.close()
  rmSync(folder, { recursive: true })
})

const tokenFile = join(folder, 'token')
writeFileSync(tokenFile, 'hvs.first\n', { mode: 0o600 })
const open = (rest: string): Promise<RootSealer> =>
  transit.open(rest, { data: folder, hasSealed: true, randomBytes })

let made = 0
const fresh = (): string => {
  const name = `writ-${made++}`
  endpoint.create(name)
  return name
}
const at = (name: string, more = ''): string =>
  `${endpoint.origin}/v1/transit/keys/${name}?token-file=${tokenFile}${more}`
const secret = new Secret<Uint8Array>(randomBytes(32))
const refusal =
  (kind: string, says: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), String(error))
    assert.equal(error.why?.kind, kind)
    assert.match(error.message, says)
    return true
  }

rootSealerContract('transit', async () => {
  const rest = at(fresh())
  return { sealer: await open(rest), again: () => open(rest) }
})

// The address of the mount of a real one, which may make keys: https://vault.example/v1/transit, and a file with its token.
const real = process.env['WRIT_TRANSIT_MOUNT']
const realToken = process.env['WRIT_TRANSIT_TOKEN_FILE']
if (real !== undefined && realToken !== undefined) {
  const { readFileSync } = await import('node:fs')
  rootSealerContract('a real transit', async () => {
    const name = `writ-contract-${randomBytes(6).toString('hex')}`
    const token = readFileSync(realToken, 'utf8').trim()
    const answer = await fetch(`${real}/keys/${name}`, {
      method: 'POST',
      headers: { 'x-vault-token': token },
    })
    assert.ok(answer.ok, `the key could not be made: ${answer.status}`)
    const rest = `${real}/keys/${name}?token-file=${realToken}`
    return { sealer: await open(rest), again: () => open(rest) }
  })
}

test('a version that somebody made by hand waits until a rotation takes it', async () => {
  const name = fresh()
  const sealer = await open(at(name))
  const before = await sealer.current()
  const key = endpoint.keys.get(name)
  key?.versions.set(2, { bytes: randomBytes(32), madeAt: 2 })
  key?.versions.set(3, { bytes: randomBytes(32), madeAt: 3 })
  assert.equal(await sealer.current(), before)
  const next = await sealer.stage('rot_1')
  assert.match(next, /:3$/)
  assert.equal(key?.versions.size, 3, 'no further version is made')
  await sealer.close()
})

test('the namespace goes with every call, and the token with none to another place', async () => {
  const sealer = await open(at(fresh(), '&namespace=team/a'))
  endpoint.asked.length = 0
  await sealer.seal(secret, 'a')
  assert.ok(endpoint.asked.length > 0 && endpoint.asked.every(line => line.endsWith(' team/a')))
  await sealer.close()
})

test('a token that was replaced in its file is taken at once', async () => {
  const sealer = await open(at(fresh()))
  const { text } = await sealer.seal(secret, 'a')
  endpoint.tokens.clear()
  endpoint.tokens.add('hvs.second')
  await assert.rejects(sealer.open(text, 'a'), refusal('sealer_away', /refuses the token for decrypt/))
  writeFileSync(tokenFile, 'hvs.second')
  assert.ok(await sealer.open(text, 'a'))
  rmSync(tokenFile)
  await assert.rejects(sealer.open(text, 'a'), refusal('sealer_away', /bring it/))
  writeFileSync(tokenFile, 'hvs.second', { mode: 0o600 })
  await sealer.close()
})

test('while the service is sealed or gone the root is away, and comes back with it', async () => {
  const sealer = await open(at(fresh()))
  const { text } = await sealer.seal(secret, 'a')
  endpoint.sealed = true
  for (const call of [
    sealer.open(text, 'a'),
    sealer.seal(secret, 'a'),
    sealer.current(),
    sealer.stage('r'),
  ]) {
    await assert.rejects(call, refusal('sealer_away', /sealed, standing by or overloaded/))
  }
  await assert.rejects(open(at(fresh())), refusal('sealer_away', /sealed/))
  endpoint.sealed = false
  assert.ok(await sealer.open(text, 'a'))
  await sealer.close()
  const closed = createServer()
  await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve))
  const { port } = closed.address() as { port: number }
  await new Promise(resolve => closed.close(resolve))
  const gone = at('writ').replace(endpoint.origin, `http://127.0.0.1:${port}`)
  await assert.rejects(open(gone), refusal('sealer_away', /ECONNREFUSED/))
})

test('a key that is not there, could be taken out, or is of another kind is refused', async () => {
  await assert.rejects(open(at('nobody')), refusal('sealer_unusable', /is not there/))
  endpoint.create('exportable', { exportable: true })
  await assert.rejects(open(at('exportable')), refusal('sealer_unusable', /nor exportable/))
  endpoint.create('rsa', { type: 'rsa-4096' })
  await assert.rejects(open(at('rsa')), refusal('sealer_unusable', /aes256-gcm96/))
})

test('a service that ignores associated data is refused: a text could be moved to another record', async () => {
  const name = fresh()
  endpoint.ignoresAssociatedData = true
  await assert.rejects(open(at(name)), refusal('sealer_unusable', /does not authenticate/))
  endpoint.ignoresAssociatedData = false
})

test('an address that is not one, or not safe, is refused', async () => {
  const good = 'https://vault.example/v1/transit/keys/writ?token-file=/t'
  const wrongs = [
    '',
    'writ',
    good.replace('https', 'http'),
    good.replace('/keys/', '/key/'),
    good.replace('?token-file=/t', ''),
  ]
  const others = [
    `${good}&x=1`,
    `${good}&token-file=/u`,
    good.replace('/t', 't'),
    good.replace('vault.', 'me:pw@vault.'),
    `${good}#x`,
  ]
  for (const wrong of [...wrongs, ...others, good.replace('/v1/', '/v1/../')]) {
    await assert.rejects(open(wrong), refusal('sealer_setting', /./), wrong)
  }
})
