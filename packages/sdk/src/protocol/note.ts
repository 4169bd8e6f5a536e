// Signed notes and their verifier keys, Ed25519 only: C2SP signed-note (https://c2sp.org/signed-note).
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { formatBase64, parseBase64 } from './base64.ts'
import { Fault } from './fault.ts'

/** What a verifier has to know of a log or another signer. `id` is the key ID in lower-case hex. */
export interface VerifierKey {
  readonly name: string
  readonly id: string
  readonly publicKey: Uint8Array
  /** The same key, imported once. */
  readonly imported: KeyObject
}

/** Whose signature a note gets. `sign` is Ed25519 over the UTF-8 bytes of the text. */
export interface NoteSigner {
  readonly key: Pick<VerifierKey, 'name' | 'id'>
  sign(text: string): Uint8Array | Promise<Uint8Array>
}

export interface NoteSignature {
  readonly name: string
  readonly id: string
  readonly signature: Uint8Array
}

/** A note whose signatures nobody looked at yet: its text is a claim. */
export interface Note {
  /** Ends with a newline, which is signed with it. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

const mostNoteBytes = 1024 * 1024
// C2SP signed-note: a verifier MUST accept at least 16 signatures; more would be work for whoever wants to give us some.
const mostSignatures = 16
const mostVerifierKeyLength = 1024
const ed25519 = 0x01
const publicKeyBytes = 32
const signatureBytes = 64
const keyIdBytes = 4

/** Makes the verifier key of a name and a raw Ed25519 public key (RFC 8032 §5.1.5, 32 bytes). */
export function verifierKey(name: string, publicKey: Uint8Array): VerifierKey {
  if (!isKeyName(name)) throw malformed('A key name has neither white space nor a plus sign', 'key_name')
  if (publicKey.length !== publicKeyBytes) throw malformed('An Ed25519 public key has 32 bytes', 'public_key')
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }
  return {
    name,
    id: keyId(name, publicKey),
    publicKey: Uint8Array.from(publicKey),
    imported: createPublicKey({ key: jwk, format: 'jwk' }),
  }
}

/** `name+id+base64(0x01 || public key)` (C2SP signed-note, verifier keys). */
export function formatVerifierKey({
  name,
  id,
  publicKey,
}: Pick<VerifierKey, 'name' | 'id' | 'publicKey'>): string {
  return `${name}+${id}+${formatBase64(Uint8Array.of(ed25519, ...publicKey))}`
}

/** Reads a verifier key. @throws Fault invalid_value where it is not one, or not of the Ed25519 type */
export function parseVerifierKey(text: string): VerifierKey {
  // The name has no plus sign, the base64 may: split at the first two.
  const match = text.length > mostVerifierKeyLength ? null : /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text)
  const material = match === null ? undefined : parseBase64(match[3] as string)
  if (match === null || material === undefined) throw malformed('This is not a verifier key', 'verifier_key')
  if (material[0] !== ed25519) throw malformed('Only Ed25519 verifier keys are supported', 'key_type')
  const key = verifierKey(match[1] as string, material.subarray(1))
  // Without this a key would look for signatures under an id that no honest signer writes.
  if (key.id !== match[2])
    throw malformed('The id of the verifier key is not that of its name and key', 'key_id')
  return key
}

/**
 * Signs a text, which ends with a newline and has no other control characters: the text, an empty line, a signature line.
 * @throws Fault invalid_value where such a text cannot be signed
 */
export async function signNote(text: string, signer: NoteSigner): Promise<string> {
  if (!isNoteText(text) || !text.endsWith('\n')) throw malformed('This text cannot be a note', 'note_text')
  const signature = await signer.sign(text)
  if (signature.length !== signatureBytes) throw new Error('an Ed25519 signature has 64 bytes')
  const { name, id } = signer.key
  return `${text}\n\u2014 ${name} ${formatBase64(Buffer.concat([Buffer.from(id, 'hex'), signature]))}\n`
}

/** Takes a note apart. @throws Fault invalid_value where it is not exactly in form, or out of bounds */
export function parseNote(note: string): Note {
  if (note.length > mostNoteBytes || Buffer.byteLength(note) > mostNoteBytes) {
    throw malformed('The note is larger than 1 MiB', 'note_size')
  }
  if (!isNoteText(note)) throw malformed('The note has characters that a note must not have', 'note_text')
  // C2SP signed-note: the text may have empty lines; the last one separates it from the signatures.
  const split = note.lastIndexOf('\n\n')
  if (split < 0 || !note.endsWith('\n')) throw malformed('The note has no signatures', 'note_signatures')
  const lines = note.slice(split + 2, -1).split('\n', mostSignatures + 1)
  if (lines.length > mostSignatures)
    throw malformed('The note has more than 16 signatures', 'note_signatures')
  return { text: note.slice(0, split + 1), signatures: lines.map(parseSignatureLine) }
}

/**
 * Verifies a note: at least one of the keys signed it, and no signature under one of the keys is wrong. Signatures
 * under other keys are ignored. Answers the text and the keys that signed it.
 * @throws Fault invalid_value where the note is malformed or not so signed; then nothing in it may be believed
 */
export function verifyNote(
  note: string,
  keys: readonly VerifierKey[],
): { text: string; signers: VerifierKey[] } {
  const { text, signatures } = parseNote(note)
  const signed = Buffer.from(text, 'utf8')
  const signers: VerifierKey[] = []
  for (const { name, id, signature } of signatures) {
    // C2SP signed-note: name and id together name a key; one of them alone names nobody.
    const named = keys.filter(key => key.name === name && key.id === id)
    if (named.length === 0) continue
    const signer = named.find(
      key => signature.length === signatureBytes && verify(null, signed, key.imported, signature),
    )
    if (signer === undefined)
      throw malformed('A signature of a known key does not verify', 'note_signature_wrong')
    if (!signers.includes(signer)) signers.push(signer)
  }
  if (signers.length === 0) throw malformed('The note is not signed by a known key', 'note_unsigned')
  return { text, signers }
}

function parseSignatureLine(line: string): NoteSignature {
  const match = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(line)
  const bytes = match === null ? undefined : parseBase64(match[2] as string)
  if (match === null || !isKeyName(match[1] as string) || bytes === undefined || bytes.length <= keyIdBytes) {
    throw malformed('A signature line of the note is malformed', 'note_signatures')
  }
  return {
    name: match[1] as string,
    id: bytes.toString('hex', 0, keyIdBytes),
    signature: bytes.subarray(keyIdBytes),
  }
}

// C2SP signed-note, Ed25519: the first four bytes of SHA-256(name || 0x0A || 0x01 || public key).
function keyId(name: string, publicKey: Uint8Array): string {
  const named = Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), Uint8Array.of(ed25519), publicKey])
  return hash('sha256', named, 'hex').slice(0, 2 * keyIdBytes)
}

function isKeyName(name: string): boolean {
  return name.length > 0 && isNoteText(name) && !/[\p{White_Space}+]/u.test(name)
}

/** Valid UTF-8 once encoded, and no ASCII control character but newline. */
function isNoteText(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  return text.isWellFormed() && !/[\u0000-\u0009\u000b-\u001f]/.test(text)
}

function malformed(say: string, kind: string): Fault {
  return new Fault('invalid_value', say, { kind })
}
