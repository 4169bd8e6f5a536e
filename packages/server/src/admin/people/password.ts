// Passwords at rest: scrypt (RFC 7914) in the PHC string format. A password is never stored, logged or answered.
import { scrypt } from 'node:crypto'
import type { Secret } from '@writ/sdk/protocol/secret'

/** 32 MiB a guess, three passes: what OWASP asks of scrypt, in the memory that several sign-ins at once may take. */
const cost = { ln: 15, r: 8, p: 3 } as const
const saltBytes = 16
const keyBytes = 32

/** `$scrypt$ln=…,r=…,p=…$salt$hash`. NFKC first, so that one password typed on two keyboards is one password. */
export async function hashPassword(
  password: Secret<string>,
  randomBytes: (length: number) => Uint8Array,
): Promise<string> {
  const salt = Uint8Array.from(randomBytes(saltBytes))
  const { ln, r, p } = cost
  const options = { N: 2 ** ln, r, p, maxmem: 64 * 1024 * 1024 }
  const key = await new Promise<Buffer>((resolve, reject) => {
    scrypt(password.reveal().normalize('NFKC'), salt, keyBytes, options, (error, derived) =>
      error === null ? resolve(derived) : reject(error),
    )
  })
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(key)}`
}

const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '')
