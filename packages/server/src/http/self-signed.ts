// A certificate for trials (RFC 5280): made at start, in memory only, for the names under which we listen.
import { webcrypto } from 'node:crypto'

const validDays = 30

/** PEM certificate and key for the host and for loopback. */
export async function selfSigned(host: string): Promise<{ cert: string; key: string }> {
  const x509 = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as CryptoKeyPair
  const names = [...new Set(['localhost', '127.0.0.1', '::1', host])].map(name => ({
    type: /^[\d.]+$|:/.test(name) ? ('ip' as const) : ('dns' as const),
    value: name,
  }))
  const now = Date.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=Writ trial certificate',
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(now - 60_000),
      notAfter: new Date(now + validDays * 86_400_000),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.SubjectAlternativeNameExtension(names),
      ],
    },
    webcrypto as Crypto,
  )
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const lines = pkcs8.toString('base64').replace(/.{64}/g, '$&\n')
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  }
}
