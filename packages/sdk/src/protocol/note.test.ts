// Notes and checkpoints: signatures that others made, what we sign, and every way to bend one.
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatCheckpoint, parseCheckpoint, verifyCheckpoint } from './checkpoint.ts'
import { isFault } from './fault.ts'
import { formatVerifierKey, parseNote, parseVerifierKey, signNote, verifierKey, verifyNote } from './note.ts'
import { emptyRoot } from './proof.ts'

const runs = { numRuns: 1000 }

// The example of C2SP signed-note.
const exampleKey = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
const exampleText = 'This is an example message.\n'
const exampleSignature =
  'Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM='
const example = `${exampleText}\n\u2014 example.com/foo ${exampleSignature}\n`

// A tree head that the Go checksum database signed, and the key that every Go toolchain carries.
const goKey = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'
const goNote = [
  'go.sum database tree',
  '6476701',
  'mb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=',
  '',
  '\u2014 sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=',
  '',
].join('\n')

/** A signer whose key is made of one repeated byte: the same in every run. */
function signerOf(name: string, byte: number) {
  const pkcs8 = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.alloc(32, byte),
  ])
  const secret = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const x = createPublicKey(secret).export({ format: 'jwk' }).x as string
  return {
    key: verifierKey(name, Buffer.from(x, 'base64url')),
    sign: (text: string) => sign(null, Buffer.from(text), secret),
  }
}

const log = signerOf('log.example', 1)
const witness = signerOf('witness.example', 2)

function refused(run: () => unknown, kind?: string): void {
  assert.throws(
    run,
    error =>
      isFault(error) && error.code === 'invalid_value' && (kind === undefined || error.why?.kind === kind),
  )
}

test('the example of the specification verifies', () => {
  const key = parseVerifierKey(exampleKey)
  const { text, signers } = verifyNote(example, [key])
  assert.equal(text, exampleText)
  assert.deepEqual(signers, [key])
})

test('a tree head of the Go checksum database verifies', () => {
  const { size, root } = verifyCheckpoint(goNote, 'go.sum database tree', [parseVerifierKey(goKey)])
  assert.equal(size, 6_476_701)
  assert.equal(Buffer.from(root).toString('base64'), 'mb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=')
})

test('a verifier key is written as it was read, and as the key ID of its name and bytes demands', () => {
  for (const text of [
    exampleKey,
    goKey,
    'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  ]) {
    const key = parseVerifierKey(text)
    assert.equal(formatVerifierKey(key), text)
    assert.equal(formatVerifierKey(verifierKey(key.name, key.publicKey)), text)
  }
})

test('a verifier key that is bent in any way is refused', () => {
  const [name, id, key] = goKey.split(/\+(.{8})\+(.+)/) as [string, string, string]
  const other = (byte: number, length: number) =>
    Buffer.concat([Buffer.of(byte), Buffer.alloc(length, 7)]).toString('base64')
  const bent = [
    '',
    name,
    `${name}+${id}`,
    `${name}+${id}+`,
    `+${id}+${key}`,
    `other.name+${id}+${key}`,
    `${name}+00000000+${key}`,
    `${name}+${id.toUpperCase()}+${key}`,
    `${name}+${id}+${key}=`,
    `${name}+${id}+${key}\n`,
    ` ${goKey}`,
    `na me+${id}+${key}`,
    `na\u00a0me+${id}+${key}`,
    `${name}+${id}+${key.replace('/', '_').replace('+', '-')}`,
    `${name}+${id}+${other(1, 31)}`,
    `${name}+${id}+${other(1, 33)}`,
    `${'n'.repeat(2000)}+${id}+${key}`,
  ]
  for (const text of bent) refused(() => parseVerifierKey(text))
  refused(() => parseVerifierKey(`${name}+${id}+${other(4, 32)}`), 'key_type')
  fc.assert(
    fc.property(fc.nat({ max: goKey.length * 8 - 1 }), bit => {
      const bytes = Buffer.from(goKey)
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      refused(() => parseVerifierKey(bytes.toString('latin1')))
    }),
    runs,
  )
})

test('what we sign, we verify; and it is laid out as the specification says', async () => {
  const note = await signNote('one\n\ntwo\n', log)
  assert.match(note, /^one\n\ntwo\n\n\u2014 log\.example [A-Za-z0-9+/]{91}=\n$/)
  assert.equal(verifyNote(note, [log.key]).text, 'one\n\ntwo\n')
})

test('any text that can be a note survives signing and verifying', async () => {
  const line = fc.string({ unit: 'grapheme' }).map(text => text.replaceAll(/\p{Cc}|\p{Cs}/gu, ''))
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 5 }), async lines => {
      const text = `${lines.join('\n')}\n`
      assert.equal(verifyNote(await signNote(text, log), [log.key]).text, text)
    }),
    runs,
  )
})

test('one flipped bit anywhere in a note is refused', async () => {
  const note = Buffer.from(
    await signNote(formatCheckpoint({ origin: 'log.example', size: 3, root: Buffer.alloc(32) }), log),
  )
  for (let bit = 0; bit < note.length * 8; bit++) {
    const bent = Buffer.from(note)
    bent[bit >> 3] = (bent[bit >> 3] as number) ^ (1 << (bit & 7))
    refused(() => verifyNote(bent.toString('utf8'), [log.key]))
  }
})

test('signatures of unknown keys are ignored, even under the name or the id of a known one', async () => {
  const text = 'text\n'
  const note = await signNote(text, log)
  const byWitness = (await signNote(text, witness)).slice(text.length + 1)
  const line = byWitness.slice(2)
  const both = `${note}${byWitness}`
  assert.deepEqual(verifyNote(both, [log.key]).signers, [log.key])
  assert.deepEqual(verifyNote(both, [witness.key, log.key]).signers, [log.key, witness.key])
  const renamed = `\u2014 log.example ${line.split(' ')[1]}`
  assert.deepEqual(verifyNote(`${note}${renamed}`, [log.key]).signers, [log.key])
  refused(() => verifyNote(`${text}\n${renamed}`, [log.key]), 'note_unsigned')
  refused(() => verifyNote(both, []), 'note_unsigned')
})

test('a wrong signature of a known key refuses the note, whoever else signed it', async () => {
  const text = 'text\n'
  const other = (await signNote('other\n', log)).slice('other\n'.length + 1)
  const note = await signNote(text, witness)
  refused(() => verifyNote(`${note}${other}`, [log.key, witness.key]), 'note_signature_wrong')
  const long = Buffer.concat([Buffer.from(log.key.id, 'hex'), log.sign(text), Buffer.of(0)]).toString(
    'base64',
  )
  refused(() => verifyNote(`${text}\n\u2014 log.example ${long}\n`, [log.key]), 'note_signature_wrong')
})

test('sixteen signatures are read and seventeen refused', async () => {
  const line = (await signNote('text\n', log)).slice('text\n'.length + 1)
  assert.equal(parseNote(`text\n\n${line.repeat(16)}`).signatures.length, 16)
  assert.deepEqual(verifyNote(`text\n\n${line.repeat(16)}`, [log.key]).signers, [log.key])
  refused(() => parseNote(`text\n\n${line.repeat(17)}`))
})

test('a note out of form is refused', () => {
  const line = `\u2014 example.com/foo ${exampleSignature}`
  const bent = [
    '',
    '\n',
    '\n\n',
    exampleText,
    `${exampleText}\n`,
    `${exampleText}\n${line}`,
    `${exampleText}${line}\n`,
    `${exampleText}\n- example.com/foo ${exampleSignature}\n`,
    `${exampleText}\n\u2014  example.com/foo ${exampleSignature}\n`,
    `${exampleText}\n${line} \n`,
    `${exampleText}\n${line}\r\n`,
    `${exampleText}\n${line}\n\n`,
    `${exampleText}\n${line}\nmore\n`,
    `a\tb\n\n${line}\n`,
    `a\0b\n\n${line}\n`,
    `a\ud800b\n\n${line}\n`,
    `${exampleText}\n\u2014 example.com/foo UwC=\n`,
    `${exampleText}\n\u2014 example.com/foo Uw2QOg==\n`,
    `${exampleText}\n\u2014 example.com/foo ${exampleSignature.slice(0, -1)}\n`,
    `${exampleText}\n\u2014 example.com+foo ${exampleSignature}\n`,
    `${exampleText}\n\u2014 example\u2003foo ${exampleSignature}\n`,
    `${'x'.repeat(1024 * 1024)}\n\n${line}\n`,
    `${'\u20ac'.repeat(400_000)}\n\n${line}\n`,
  ]
  for (const note of bent) refused(() => parseNote(note))
})

test('a text that could not be read back is not signed', async () => {
  for (const text of ['', 'no newline', 'a\rb\n', 'a\ud800\n']) {
    await assert.rejects(async () => signNote(text, log), isFault)
  }
  await assert.rejects(
    async () => signNote('text\n', { key: log.key, sign: () => Buffer.alloc(63) }),
    /64 bytes/,
  )
})

test('names that could be mistaken for something else name no key', () => {
  for (const name of ['', 'a b', 'a+b', 'a\nb', 'a\u2028b', 'a\u00a0b', 'a\u0085b', 'a\ud800']) {
    refused(() => verifierKey(name, Buffer.alloc(32, 1)))
  }
  refused(() => verifierKey('a', Buffer.alloc(31)))
})

test('a checkpoint is three lines, and extension lines are kept', () => {
  const root = Buffer.alloc(32, 9)
  assert.equal(
    formatCheckpoint({ origin: 'log.example', size: 12, root }),
    `log.example\n12\n${root.toString('base64')}\n`,
  )
  const extended = { origin: 'log.example', size: 12, root, extensions: ['one', 'two'] }
  assert.deepEqual(parseCheckpoint(formatCheckpoint(extended)), extended)
  assert.equal(parseCheckpoint(formatCheckpoint({ origin: 'o', size: 0, root: emptyRoot })).size, 0)
})

test('a checkpoint out of form is refused', () => {
  const root = Buffer.alloc(32, 9).toString('base64')
  const bent = [
    '',
    '\n',
    `log\n1\n${root}`,
    `log\n1\n`,
    `\n1\n${root}\n`,
    `log\n\n${root}\n`,
    `log\n01\n${root}\n`,
    `log\n-1\n${root}\n`,
    `log\n1.0\n${root}\n`,
    `log\n1e3\n${root}\n`,
    `log\n 1\n${root}\n`,
    `log\n9007199254740992\n${root}\n`,
    `log\n99999999999999999999\n${root}\n`,
    `log\n0\n${root}\n`,
    `log\n1\n${root.slice(0, -1)}\n`,
    `log\n1\n${root} \n`,
    `log\n1\n${Buffer.alloc(31).toString('base64')}\n`,
    `log\n1\n${root.slice(0, -2)}l=\n`,
    `log\n1\n${root}\n\n`,
    `log\n1\n${root}\next\n\n`,
  ]
  for (const text of bent) refused(() => parseCheckpoint(text))
  refused(() => formatCheckpoint({ origin: 'a\n5', size: 1, root: Buffer.alloc(32) }))
  refused(() => formatCheckpoint({ origin: 'a', size: 1.5, root: Buffer.alloc(32) }))
  refused(() => formatCheckpoint({ origin: 'a', size: 1, root: Buffer.alloc(32), extensions: ['a\nb'] }))
})

test('the checkpoint of another log under the same key is refused', async () => {
  const note = await signNote(
    formatCheckpoint({ origin: 'other.example', size: 1, root: Buffer.alloc(32) }),
    log,
  )
  refused(() => verifyCheckpoint(note, 'log.example', [log.key]), 'checkpoint_origin')
  assert.equal(verifyCheckpoint(note, 'other.example', [log.key]).size, 1)
})
