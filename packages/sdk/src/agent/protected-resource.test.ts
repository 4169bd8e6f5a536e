// Where a resource ends: the border that no token crosses.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { covers } from './protected-resource.ts'

test('a resource covers its own path and those below, on its own origin', () => {
  const inside: readonly [string, string][] = [
    ['https://api.example', 'https://api.example/'],
    ['https://api.example', 'https://api.example/a?b=c'],
    ['https://api.example/', 'https://api.example/a'],
    ['https://api.example/a', 'https://api.example/a'],
    ['https://api.example/a', 'https://api.example/a/'],
    ['https://api.example/a', 'https://api.example/a/b'],
    ['https://API.example:443/a', 'https://api.example/a/b'],
    ['https://api.example/a?t=1', 'https://api.example/a?t=1'],
  ]
  for (const [resource, url] of inside) assert.equal(covers(resource, url), true, `${resource} ${url}`)
  const outside: readonly [string, string][] = [
    ['https://api.example/a', 'https://api.example/'],
    ['https://api.example/a', 'https://api.example/ab'],
    ['https://api.example/a', 'https://api.example/A'],
    ['https://api.example/a', 'https://api.example/a/../b'],
    ['https://api.example/a', 'https://api.example/a%2f..%2fb'],
    ['https://api.example', 'http://api.example/'],
    ['https://api.example', 'https://api.example:8443/'],
    ['https://api.example', 'https://api.example.evil.example/'],
    ['https://api.example', 'https://evil.example/https://api.example'],
    ['https://api.example/a?t=1', 'https://api.example/a?t=2'],
    ['urn:example:api', 'https://api.example/'],
    ['data:,x', 'data:,x'],
    ['', 'https://api.example/'],
    ['/a', 'https://api.example/a'],
  ]
  for (const [resource, url] of outside) assert.equal(covers(resource, url), false, `${resource} ${url}`)
})

test('no URL of another origin is covered, whatever its path', () => {
  fc.assert(
    fc.property(fc.webUrl(), fc.webUrl({ withQueryParameters: true }), (resource, url) => {
      if (covers(resource, url)) assert.equal(new URL(resource).origin, new URL(url).origin)
    }),
  )
})
