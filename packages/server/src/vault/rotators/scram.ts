// What a PostgreSQL keeps instead of a password (RFC 5802 §3, RFC 7677): made here, so that the password is not sent.
import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)

// RFC 7677 §4: at least 4096. More buys nothing here: what is hashed is random, and guessing it is hopeless at once.
const iterations = 4096

/**
 * The verifier in PostgreSQL's notation. The password has to be of ASCII letters, digits, `-` and `_`, which SASLprep
 * (RFC 5802 §2.2) leaves as they are.
 */
export async function scramVerifier(password: string): Promise<string> {
  if (!/^[A-Za-z0-9_-]+$/.test(password)) throw new Error('a password that would have to be prepared')
  return verifierWith(password, randomBytes(16), iterations)
}

/** With the salt and the rounds given, so that it can be held to the vectors of the specification. */
export async function verifierWith(password: string, salt: Uint8Array, rounds: number): Promise<string> {
  const salted = await derive(password, salt, rounds, 32, 'sha256')
  const keyFor = (what: string): Buffer => createHmac('sha256', salted).update(what).digest()
  const stored = createHash('sha256').update(keyFor('Client Key')).digest('base64')
  const server = keyFor('Server Key').toString('base64')
  return `SCRAM-SHA-256$${rounds}:${Buffer.from(salt).toString('base64')}$${stored}:${server}`
}
