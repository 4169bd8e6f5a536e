// Callback endpoints: the ones of the resource's own origin, and none that leads inside (RFC 6890).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callbackProblem, isPublicAddress } from './callback-target.ts'

const site = { issuer: 'https://writ.example', resource: 'https://api.example/v1' }

test('addresses of the public internet are public, and no others', () => {
  for (const address of ['8.8.8.8', '172.32.0.1', '2606:4700::1111'])
    assert.equal(isPublicAddress(address), true, address)
  const inside = [
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::a00:1',
    'fc00::1',
    'fe80::1',
    '2002:a00:1::',
    '2001:db8::1',
    'ff02::1',
    'localhost',
    '',
  ]
  for (const address of inside) assert.equal(isPublicAddress(address), false, address)
})

test('a callback stays at the origin of its resource', () => {
  assert.equal(callbackProblem('https://api.example/told', site), undefined)
  for (const endpoint of [
    'https://other.example/told',
    'https://api.example:8443/told',
    'http://api.example/told',
    'https://user@api.example/told',
    'https://api.example/told#x',
    'https://api.example/../told',
    'ftp://api.example/told',
    'told',
    '',
  ])
    assert.notEqual(callbackProblem(endpoint, site), undefined, endpoint)
})

test('a callback leads to no private address, in whatever way it is written', () => {
  for (const host of [
    '10.0.0.8',
    '169.254.169.254',
    '[fd00::1]',
    '[::ffff:10.0.0.8]',
    '2130706433',
    '0x7f.1',
  ]) {
    const endpoint = `https://${host}/`
    const problem = callbackProblem(endpoint, { ...site, resource: endpoint })
    assert.notEqual(problem, undefined, host)
  }
})

test('only an authority on this machine calls this machine back', () => {
  const local = { issuer: 'http://127.0.0.1:8455', resource: 'https://api.example' }
  for (const endpoint of ['http://127.0.0.1:9000/told', 'http://localhost:9000/', 'https://[::1]:9000/']) {
    assert.equal(callbackProblem(endpoint, local), undefined)
    assert.equal(callbackProblem(endpoint, site), 'must not lead back into this machine')
  }
})
