// Certificates as a company has them (RFC 5280 §4): a root of its own, and beneath it one for a server.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

const der = (tag: number, ...contents: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(contents)
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
const sequence = (...contents: readonly Uint8Array[]): Buffer => der(0x30, ...contents)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const name = (text: string): Buffer =>
  sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(text)))))
const time = (ms: number): Buffer =>
  der(
    0x17,
    Buffer.from(
      `${new Date(ms)
        .toISOString()
        .replace(/[-:T]|\.\d+Z/g, '')
        .slice(2)}Z`,
    ),
  )
const critical = Buffer.from([0x01, 0x01, 0xff])

export interface Issued {
  readonly cert: string
  readonly key: string
}

interface Wanted {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  /** basicConstraints of a root, or the address of a server. */
  readonly extension: Uint8Array
}

function certificate({ subject, issuer, publicKey, extension }: Wanted, by: KeyObject): string {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    name(issuer),
    sequence(time(Date.now() - 60_000), time(Date.now() + 86_400_000)),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extension)),
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', body, by))
  const lines =
    sequence(body, ecdsaWithSha256, signature)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/** A root, and a certificate with its key for 127.0.0.1 that the root signed. */
export function companyCertificates(): { readonly root: string; readonly server: Issued } {
  const [root, server] = [0, 1].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  if (root === undefined || server === undefined) throw new Error('no keys')
  const isRoot = sequence(oid('551d13'), critical, der(0x04, sequence(critical)))
  const address = sequence(oid('551d11'), der(0x04, sequence(der(0x87, Buffer.from([127, 0, 0, 1])))))
  const issuer = 'A company'
  return {
    root: certificate(
      { subject: issuer, issuer, publicKey: root.publicKey, extension: isRoot },
      root.privateKey,
    ),
    server: {
      cert: certificate(
        { subject: 'writ', issuer, publicKey: server.publicKey, extension: address },
        root.privateKey,
      ),
      key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    },
  }
}
