// A certificate for trials (RFC 5280 §4): made at start, its key in memory only, for the names under which we listen.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

const validDays = 30
const dayMs = 86_400_000

// X.690: what a certificate is made of, each a tag, a length and its contents.
const tags = {
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  sequence: 0x30,
  set: 0x31,
} as const
const isTrue = Buffer.from([0x01, 0x01, 0xff])

const oids = {
  commonName: '550403',
  ecdsaWithSha256: '2a8648ce3d040302',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
} as const

function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  // X.690 §8.1.3: one octet below 128, else the number of octets first.
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

const sequence = (...contents: readonly Uint8Array[]): Buffer => der(tags.sequence, ...contents)
const oid = (name: keyof typeof oids): Buffer => der(tags.oid, Buffer.from(oids[name], 'hex'))
const bits = (unused: number, content: Uint8Array): Buffer => der(tags.bits, Buffer.from([unused]), content)

/** RFC 5280 §4.1.2.5.1: two digits of the year, until 2049. */
function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  return der(0x17, Buffer.from(digits.slice(2)))
}

function extension(name: keyof typeof oids, value: Uint8Array, critical = false): Buffer {
  return sequence(oid(name), ...(critical ? [isTrue] : []), der(tags.octets, value))
}

/** RFC 5280 §4.2.1.6. */
function alternativeName(name: string): Buffer {
  const kind = isIP(name)
  if (kind === 0) return der(0x82, Buffer.from(name, 'ascii'))
  return der(0x87, kind === 4 ? Buffer.from(name.split('.').map(Number)) : ipv6(name))
}

function ipv6(address: string): Buffer {
  // The URL parser writes every spelling of an address in one way, also one that ends in IPv4 notation.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const after = groups(tail ?? '')
  const before = groups(head)
  const filling = Array<string>(tail === undefined ? 0 : 8 - before.length - after.length).fill('0')
  return Buffer.from([...before, ...filling, ...after].map(group => group.padStart(4, '0')).join(''), 'hex')
}

/** PEM certificate and key for these hosts and for loopback. */
export function selfSigned(...hosts: readonly string[]): { readonly cert: string; readonly key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...hosts])]
  const name = sequence(
    der(tags.set, sequence(oid('commonName'), der(tags.utf8, Buffer.from('Writ trial certificate')))),
  )
  const serial = randomBytes(16)
  // RFC 5280 §4.1.2.2: positive, without a leading zero octet.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  const now = Date.now()
  const extensions = sequence(
    extension('basicConstraints', sequence(), true),
    extension('keyUsage', bits(7, Buffer.from([0x80])), true),
    extension('extendedKeyUsage', sequence(oid('serverAuth'))),
    extension('subjectAltName', sequence(...names.map(alternativeName))),
  )
  const certified = sequence(
    der(0xa0, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, serial),
    sequence(oid('ecdsaWithSha256')),
    name,
    sequence(utcTime(now - 60_000), utcTime(now + validDays * dayMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const certificate = sequence(
    certified,
    sequence(oid('ecdsaWithSha256')),
    bits(0, sign('sha256', certified, privateKey)),
  )
  return {
    cert: pem(certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
