// URIs: one canonical text for each resource and request, no text that two readers could take for different hosts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalHtu, canonicalResource, isSecureUrl } from './uri.ts'

const runs = { numRuns: 3_000 }

test('refuses resources that are not absolute, or carry a fragment or user information', () => {
  const texts = [
    '',
    '/a',
    '//h/a',
    'api.example',
    'https:',
    'https:/h',
    'https://',
    'https:///a',
    'https:h',
    'https://h#',
    'https://h/a#b',
    'https://u@h',
    'https://u:p@h',
    'https://@h',
    'https://api.example@evil.example',
    '1http://h',
    'urn:',
    'urn:a',
    'urn:a:',
    'urn:-a:b',
    ':a',
    'a:',
    'file:///etc/passwd',
    'spiffe://u@td/a',
    'mcp://h:0/a',
    'mcp:///a',
  ]
  for (const text of texts) assert.equal(canonicalResource(text), undefined, text)
})

test('refuses what parsers repair in different ways', () => {
  const texts = [
    'https:\\\\h\\a',
    'https://h\\@evil.example',
    'https://h/a\\b',
    ' https://h',
    'https://h ',
    'https://h/a b',
    'https://h\t/',
    'ht\ntps://h',
    'https://h/\u0000',
    'https://h/é',
    'https://é.example',
    'https://h/%',
    'https://h/%4',
    'https://h/%gg',
    'https://h/?a=%',
    'https://h/?%4',
    'https://h/a[0]',
    'https://h/"',
    'https://h/<',
    'https://h/?a|b',
    'https://h/a?',
    'https://%68/',
    'https://h%2eexample',
  ]
  for (const text of texts) assert.equal(canonicalResource(text), undefined, text)
})

test('refuses hosts that are other spellings of an address, or no host', () => {
  const texts = [
    'https://h.',
    'https://.h',
    'https://a..b',
    'https://-a.example',
    'https://a-.example',
    'https://2130706433',
    'https://0x7f.1',
    'https://127.1',
    'https://127.0.0.01',
    'https://0177.0.0.1',
    'https://256.0.0.1',
    'https://1.2.3.4.5',
    'https://a.1',
    'https://a.0x1',
    'https://[::1',
    'https://::1',
    'https://[fe80::1%25eth0]',
    'https://[1::2::3]',
    'https://[]',
    `https://${'a'.repeat(64)}.example`,
    `https://${'a.'.repeat(127)}example`,
    'https://h:',
    'https://h:0',
    'https://h:00080',
    'https://h:65536',
    'https://h:+80',
    'https://h:8a',
  ]
  for (const text of texts) assert.equal(canonicalResource(text), undefined, text)
})

test('refuses second spellings of a path: dot segments and needless or lower-case encodings', () => {
  const texts = [
    'https://h/.',
    'https://h/..',
    'https://h/a/../b',
    'https://h/a/./b',
    'https://h/a/..',
    'https://h/%61',
    'https://h/%7e',
    'https://h/%2E%2E/b',
    'https://h/%c3%a9',
    'https://h/a?x=%61',
    'https://h/a?x=%c3',
    'foo:../a',
    'foo:a/./b',
  ]
  for (const text of texts) assert.equal(canonicalResource(text), undefined, text)
})

test('gives one form to the spellings of scheme, host, port and bare origin', () => {
  const same: Record<string, string[]> = {
    'https://api.example': [
      'https://api.example/',
      'HTTPS://API.Example',
      'https://api.example:443',
      'https://api.example:443/',
    ],
    'http://127.0.0.1:8080': ['http://127.0.0.1:8080/'],
    'https://[2001:db8::1]:8443/a': [
      'https://[2001:DB8:0:0:0:0:0:1]:8443/a',
      'https://[2001:db8::0001]:8443/a',
    ],
    'https://api.example/?a=b': ['https://api.example?a=b'],
    'urn:example:Res': ['URN:EXAMPLE:Res', 'urn:Example:Res'],
    'spiffe://td.example/agent': ['SPIFFE://TD.example/agent'],
    'mcp://server': ['mcp://server/'],
  }
  for (const [canonical, texts] of Object.entries(same)) {
    for (const text of [canonical, ...texts]) assert.equal(canonicalResource(text), canonical, text)
  }
})

test('keeps apart what is different: case of paths, final slashes, ports, schemes, queries, kept encodings', () => {
  const texts = [
    'https://h/a',
    'https://h/A',
    'https://h/a/',
    'https://h/a//',
    'https://h:444/a',
    'http://h:443/a',
    'http://h/a',
    'https://h/a?b',
    'https://h/a?B',
    'https://h/a%2Fb',
    'https://h/a/b',
    'https://h/%C3%A9',
    'https://h/.well-known/x',
    'https://h/a..b',
    'https://h/...',
    'urn:a1:b',
    'urn:a1:B',
    'foo:a/.b',
  ]
  assert.deepEqual(texts.map(canonicalResource), texts)
})

test('refuses texts beyond its bound without reading them', () => {
  const fits = `https://h/${'a'.repeat(2_038)}`
  assert.equal(canonicalResource(fits), fits)
  assert.equal(canonicalResource(`${fits}a`), undefined)
  assert.equal(canonicalHtu(`${fits}a`), undefined)
  assert.equal(isSecureUrl(`${fits}a`), false)
})

test('normalises request URIs by syntax and scheme, and ignores query and fragment', () => {
  const same: Record<string, string[]> = {
    'https://h/': [
      'https://h',
      'https://h:443',
      'HTTPS://H:443/',
      'https://h/?a=b',
      'https://h?a',
      'https://h#f',
      'https://h/.',
      'https://h/a/..',
      'https://h/../',
      'https://h/%2e',
      'https://h/?f[x]=1|2',
      'https://h/?a#b?c',
    ],
    'https://h/a/b': [
      'https://h/a/b?',
      'https://h/a/./b',
      'https://h/x/../a/b',
      'https://h/%61/b',
      'https://h/a/b#/c',
      'https://h/../../a/b',
    ],
    'https://h/%C3%A9': ['https://h/%c3%a9', 'https://h/%C3%a9'],
    'https://h/a%2Fb': ['https://h/a%2fb'],
    'https://h/a%5B0%5D': ['https://h/a[0]', 'https://h/a%5b0%5D'],
    'https://h/a%7Cb': ['https://h/a|b'],
    'http://127.0.0.1:8455/token': ['HTTP://127.0.0.1:8455/token'],
    'http://[::1]/x': ['http://[0:0:0:0:0:0:0:1]:80/x'],
    'https://h/a/': ['https://h/a/.', 'https://h/a/b/..'],
  }
  for (const [canonical, texts] of Object.entries(same)) {
    for (const text of [canonical, ...texts]) assert.equal(canonicalHtu(text), canonical, text)
  }
})

test('keeps different request URIs apart', () => {
  const texts = [
    'https://h/a',
    'https://h/A',
    'https://h/a/',
    'https://h/a//b',
    'https://h/a/b',
    'https://h:444/a',
    'http://h/a',
    'https://h/a%2Fb',
    'https://h.example/a',
    'https://h/a;v=1',
    'https://h//',
    'https://h/...',
    'https://h1/a',
    'https://1.2.3.4/a',
    'https://h:8443/v1.0/x',
  ]
  assert.deepEqual(texts.map(canonicalHtu), texts)
})

test('has no request URI for anything but an http or https URL', () => {
  for (const text of [
    '',
    'h/a',
    '//h/a',
    'ftp://h/a',
    'urn:a:b',
    'https://',
    'https:///a',
    'https://u@h/',
    'https://h\\a',
    'https://h /',
    'https://h/é',
    'https://h/a b',
    'https://h/%',
    'https://h:0/',
    'javascript:alert(1)',
    'constructor://h/',
    'https://h.',
    'https://127.1/',
  ]) {
    assert.equal(canonicalHtu(text), undefined, text)
  }
})

test('trusts https, and http to this machine alone', () => {
  for (const url of [
    'https://as.example',
    'https://as.example/t1',
    'http://127.0.0.1:8455',
    'http://[::1]:1/',
    'http://localhost',
    'http://LOCALHOST:80/x',
  ]) {
    assert.equal(isSecureUrl(url), true, url)
  }
  for (const url of [
    'http://as.example',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'http://localhost@evil.example',
    'http://127.0.0.2',
    'http://[::2]',
    'http://0x7f000001',
    'ftp://127.0.0.1',
    'ws://localhost',
    '',
    'localhost',
    'https://',
    'https://u@h',
    'http://127.0.0.1#@evil.example',
  ]) {
    assert.equal(isSecureUrl(url), false, url)
  }
})

const texts = fc.oneof(
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
  fc
    .tuple(
      fc.constantFrom('https://', 'HTTP://', 'http://', 'urn:', 'a:', ''),
      fc.constantFrom('h', 'H.example', '127.0.0.1', '[::1]', '1.2', 'a_b', ''),
      fc.constantFrom('', ':443', ':80', ':8080', ':'),
      fc.string({
        unit: fc.constantFrom(
          '/',
          '.',
          '..',
          'a',
          'B',
          '%2e',
          '%2F',
          '%c3',
          '%7E',
          '?',
          '#',
          '[',
          '\\',
          '%',
          ':',
          '@',
        ),
        maxLength: 10,
      }),
    )
    .map(parts => parts.join('')),
  fc.string({ unit: 'binary' }),
)

test('a canonical form is its own canonical form', () => {
  fc.assert(
    fc.property(texts, text => {
      const resource = canonicalResource(text)
      if (resource !== undefined) assert.equal(canonicalResource(resource), resource)
      const htu = canonicalHtu(text)
      if (htu !== undefined) assert.equal(canonicalHtu(htu), htu)
      isSecureUrl(text)
    }),
    { numRuns: 6_000 },
  )
})

test('agrees with the platform on which host a URL names', () => {
  fc.assert(
    fc.property(texts, text => {
      for (const canonical of [canonicalResource(text), canonicalHtu(text)]) {
        if (canonical === undefined || !/^https?:/.test(canonical)) continue
        assert.equal(new URL(canonical).origin, new URL(text).origin)
        assert.equal(canonical.startsWith(new URL(text).origin), true)
      }
    }),
    runs,
  )
})

test('agrees with the platform on which request URIs are equal, or tells more of them apart', () => {
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      const [left, right] = [canonicalHtu(a), canonicalHtu(b)]
      if (left === undefined || left !== right) return
      assert.equal(pathOf(a), pathOf(b))
    }),
    runs,
  )
})

/** The path that a platform's parser finds, with every needless encoding undone. */
function pathOf(text: string): string {
  const { origin, pathname } = new URL(text)
  return (
    origin +
    pathname.replace(/%[0-9a-f]{2}/gi, encoded => {
      const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
      return /[A-Za-z0-9\-._~[\]]/.test(character) ? character : encoded.toUpperCase()
    })
  )
}
