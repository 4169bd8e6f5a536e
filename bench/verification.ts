// Verification at a resource, token and key known, beside the one signature verification that it cannot avoid.
import { createPublicKey } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { algorithms } from '@writ/sdk/protocol/algorithms'
import { createProof, proofHeader } from '@writ/sdk/protocol/dpop'
import { createVerifier } from '@writ/sdk/resource/verifier'
import { type Figure, sideBySide } from './measure.ts'
import { api, type Caller, populate } from './population.ts'
import { siteAt, startAuthority } from './processes.ts'
import { tokenFor } from './token.ts'

const calls = 3_000
const rounds = 9
const perTurn = 100

export async function verification(): Promise<readonly Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'writ-bench-'))
  const site = await siteAt(home)
  const [caller] = await populate(site, 1, 0)
  const authority = await startAuthority(site)
  const verifier = createVerifier({ issuer: site.issuer, resource: api })
  try {
    await verifier.ready()
    const token = await tokenFor(site.issuer, caller as Caller)
    const verified = async (): Promise<number> => {
      const proofs = proofsOf(caller as Caller, token)
      let spentMs = 0
      for (let at = 0; at < proofs.length; at += perTurn) {
        const started = performance.now()
        for (const dpop of proofs.slice(at, at + perTurn)) {
          const headers = ['authorization', `DPoP ${token}`, 'dpop', dpop]
          await verifier.verify({ method: 'GET', url: '/invoices', headers })
        }
        spentMs += performance.now() - started
        // The verifier follows its issuer between turns, as it does in a server.
        await setImmediate()
      }
      return (spentMs * 1000) / proofs.length
    }
    const bare = async (): Promise<number> =>
      bareVerification(proofsOf(caller as Caller, token), caller as Caller)
    await verified()
    await bare()
    const [whole, signature, ratio] = await sideBySide(rounds, verified, bare)
    return [
      {
        name: 'SDK verification, token and key cached',
        value: whole,
        unit: 'µs',
        floor: { name: 'one bare ES256 verification', value: signature },
        ratio,
        target: { at: 'most', bound: 1.25 },
      },
    ]
  } finally {
    verifier.close()
    await authority.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

function proofsOf(caller: Caller, accessToken: string): readonly string[] {
  const header = proofHeader(caller.key)
  const nowSeconds = Math.floor(Date.now() / 1000)
  const uri = `${api}/invoices`
  return Array.from({ length: calls }, () =>
    createProof({ key: caller.key, method: 'GET', uri, accessToken, nowSeconds, header }),
  )
}

/** Microseconds for one signature verification of the same proofs, on a key that was imported before. */
function bareVerification(proofs: readonly string[], caller: Caller): number {
  const key = createPublicKey(caller.key.key)
  const cut = proofs.map(proof => {
    const dot = proof.lastIndexOf('.')
    return {
      input: Buffer.from(proof.slice(0, dot), 'latin1'),
      signature: Buffer.from(proof.slice(dot + 1), 'base64url'),
    }
  })
  const started = performance.now()
  for (const { input, signature } of cut)
    if (!algorithms.ES256.verify(input, key, signature)) throw new Error('a proof does not hold')
  return ((performance.now() - started) * 1000) / cut.length
}
