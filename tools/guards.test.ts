// The smaller guards against planted violations: names, words, requirements, pages, fragments, exports.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Specification } from '../test/rfc/requirements/specification.ts'
import { checkCatches } from './catches.ts'
import { checkDependencies } from './dependencies.ts'
import { checkFragments, parseFragment } from './fragments.ts'
import { checkNames } from './names.ts'
import { checkOutside } from './outside.ts'
import { checkPaths } from './paths.ts'
import { assemble, withVersion } from './release.ts'
import { checkSpecs, renderSpecs } from './specs.ts'
import { plant } from './tree.ts'

const said = '// What it is.\n'

test('a name says what a thing is, not what kind of code it is', () => {
  const bad = [
    'utils/x.ts',
    'packages/server/src/helpers/x.ts',
    'packages/server/src/common/x.ts',
    'token-service.ts',
    'token-manager.ts',
    'token-utils.ts',
    'token-types.ts',
    'token-helper.test.ts',
    'types.ts',
    'constants.ts',
    'tokenCache.ts',
    'Token.ts',
    'vault/vault-lease.ts',
  ]
  for (const file of bad) assert.equal(checkNames(plant({ [file]: said })).problems.length, 1, file)
  const good = [
    'token-cache.ts',
    'access.test.ts',
    'vault/lease.ts',
    '0001-foundation.ts',
    'store/sql/store.ts',
  ]
  for (const file of good) assert.deepEqual(checkNames(plant({ [file]: said })).problems, [], file)
})

test('a file without a first line that says what it is is a problem; an interpreter line may come before', () => {
  assert.equal(checkNames(plant({ 'a.ts': 'export const a = 1\n' })).problems.length, 1)
  assert.deepEqual(checkNames(plant({ 'a.js': `#!/usr/bin/env node\n${said}` })).problems, [])
})

test('no file names a place outside the repository, except one line of the continuous run', () => {
  const line = `X=..${'/'}shared/vectors\n`
  assert.equal(checkOutside(plant({ 'a.ts': line })).problems.length, 1)
  assert.deepEqual(checkOutside(plant({ '.ci/run': line })).problems, [])
  assert.equal(checkOutside(plant({ '.ci/run': line + line })).problems.length, 1)
  assert.deepEqual(checkOutside(plant({ 'a.ts': `import './..${'/'}shared-replay.ts'` })).problems, [])
  assert.equal(checkOutside(plant({ 'docs/a.md': `see /${'home'}/me/x` })).problems.length, 1)
})

test('no file marks unfinished work or silences a check wholesale', () => {
  for (const mark of ['TO' + 'DO: later', 'FIX' + 'ME', '@ts-' + 'ignore']) {
    assert.deepEqual(checkOutside(plant({ 'a.ts': `// ${mark}` })).problems.length, 1, mark)
  }
})

const spec: Specification = {
  name: 'RFC 1',
  title: 'Hosts',
  requirements: [
    { id: 'RFC1-2.1-1', section: '2.1', level: 'MUST', text: 'It answers.', url: 'https://example.test' },
  ],
}
const citing = (argument: string): Record<string, string> => ({
  'test/rfc/a.test.ts': `verifies(${argument})`,
})

test('a requirement that no test cites is a problem, and so is a citation that no row has', () => {
  assert.deepEqual(checkSpecs(plant(citing(`'RFC1-2.1-1'`)), [spec]).problems, [])
  assert.deepEqual(checkSpecs(plant({}), [spec]).problems, ['RFC1-2.1-1 is verified by no test'])
  assert.equal(checkSpecs(plant(citing(`'RFC1-2.1-1', 'RFC1-2.1-2'`)), [spec]).problems.length, 1)
  assert.equal(checkSpecs(plant(citing(`'RFC1-2.1-1', id`)), [spec]).problems.length, 1)
  assert.equal(checkSpecs(plant({ 'test/rfc/a.ts': `verifies('RFC1-2.1-1')` }), [spec]).problems.length, 1)
})

test('a requirement whose id does not name its specification and section is a problem', () => {
  const wrong = { ...spec, requirements: spec.requirements.map(row => ({ ...row, section: '2.2' })) }
  assert.equal(checkSpecs(plant(citing(`'RFC1-2.1-1'`)), [wrong]).problems.length, 1)
})

test('the page of specifications leads from each requirement to the files and the proof', () => {
  const source = {
    'packages/server/src/http/app.ts': '// RFC 1 §2.1\n',
    'packages/server/src/http/b.ts': '// RFC 12\n',
  }
  const page = renderSpecs(plant({ ...citing(`'RFC1-2.1-1'`), ...source }), [spec])
  assert.match(page, /Cited in `packages\/server\/src\/http\/app\.ts`\./)
  assert.match(
    page,
    /\| \[RFC1-2\.1-1\]\(https:\/\/example\.test\) \| MUST \| It answers\. \| `test\/rfc\/a\.test\.ts` \|/,
  )
})

const repository = {
  'packages/server/src/http/app.ts': said,
  'docs/guide/start.md': '',
  'tools/check.ts': said,
}
const pathProblems = (text: string, page = 'docs/adding/grant.md'): readonly string[] =>
  checkPaths(plant({ ...repository, [page]: text }), ['check']).problems

test('a page may only name files, folders, links and npm scripts that exist', () => {
  const bad = [
    '`packages/server/src/http/gone.ts`',
    '`http/gone.ts`',
    '`tools/gone/`',
    '[x](gone.md)',
    'npm run gone',
  ]
  for (const text of bad) assert.equal(pathProblems(text).length, 1, text)
  assert.equal(pathProblems('`tools/gone.ts`', 'ARCHITECTURE.md').length, 1)
  const good = [
    '`packages/server/src/http/app.ts` and `http/app.ts`',
    '`tools/` and `docs/guide`',
    '`http/<name>.ts`, `tools/*.ts`',
    '[x](../guide/start.md#here) [y](https://example.test/gone.md)',
    'npm run check',
    '`application/json`, `urn:ietf:params`, `client_id`, `@writ/sdk/agent`, `/healthz`, `node_modules/.bin/writ`',
    '```\ntools/gone.ts and `tools/gone.ts`\n```',
  ]
  for (const text of good) assert.deepEqual(pathProblems(text), [], text)
})

test('two decisions with one number are a problem, and so is a map of more than 300 lines', () => {
  const records = {
    'docs/decisions/0004-a.md': '',
    'docs/decisions/0004-b.md': '',
    'docs/decisions/0005-c.md': '',
  }
  assert.deepEqual(checkPaths(plant(records), []).problems, ['docs/decisions/ has two records 0004'])
  assert.deepEqual(pathProblems('\n'.repeat(299), 'ARCHITECTURE.md'), [])
  assert.equal(pathProblems('\n'.repeat(300), 'ARCHITECTURE.md').length, 1)
})

test('a fragment is a kind and a sentence or two', () => {
  const good = '---\nkind: added\n---\n\nAgents have keys.\n'
  assert.deepEqual(parseFragment('changes/a.md', good), {
    file: 'changes/a.md',
    kind: 'added',
    text: 'Agents have keys.',
  })
  const bad = [
    'Agents have keys.',
    good.replace('added', 'new'),
    '---\nkind: added\n---\n',
    good.replace('keys.', 'keys'),
  ]
  for (const text of bad) assert.equal(typeof parseFragment('changes/a.md', text), 'string', text)
})

test('a change of a package without any fragment is a problem', () => {
  const changed = ['packages/sdk/src/agent/agent.ts']
  assert.equal(checkFragments(plant({}), changed).problems.length, 1)
  assert.deepEqual(
    checkFragments(plant({ 'changes/a.md': '---\nkind: fixed\n---\nIt works.\n' }), changed).problems,
    [],
  )
  assert.deepEqual(checkFragments(plant({}), ['README.md']).problems, [])
})

test('a runtime dependency needs a reason on the page and one exact version, and a reason needs its dependency', () => {
  const manifest = (version: string): string =>
    JSON.stringify({ dependencies: { hono: version, '@writ/sdk': '0.1.0' } })
  const problems = (page: string, version = '4.0.1'): number =>
    checkDependencies(
      plant({ 'packages/server/package.json': manifest(version), 'docs/dependencies.md': page }),
    ).problems.length
  assert.equal(problems('| `hono` | server |'), 0)
  assert.equal(problems('no rows'), 1)
  assert.equal(problems('| `hono`, `zod` | server |'), 1)
  assert.equal(problems('| `hono` | server |', '^4.0.1'), 1)
})

test('a release puts its fragments above the earlier ones, security first, and pins the siblings to its version', () => {
  const fragments = [
    { file: 'changes/a.md', kind: 'added' as const, text: 'Agents have\nkeys.' },
    { file: 'changes/b.md', kind: 'security' as const, text: 'A proof is used once.' },
  ]
  const first = assemble('# Changes\n\nNewest first.\n', fragments.slice(0, 1), '0.1.0', '2026-11-24')
  assert.equal(
    first,
    '# Changes\n\nNewest first.\n\n## 0.1.0 (2026-11-24)\n\n### Added\n\n- Agents have keys.\n',
  )
  const second = assemble(first, fragments, '0.2.0', '2026-12-01')
  assert.deepEqual(
    second.split('\n').filter(line => line.startsWith('#')),
    ['# Changes', '## 0.2.0 (2026-12-01)', '### Security', '### Added', '## 0.1.0 (2026-11-24)', '### Added'],
  )
  const manifest = '{\n  "version": "0.1.0",\n  "dependencies": { "@writ/sdk": "0.1.0", "hono": "4.0.0" }\n}'
  assert.equal(withVersion(manifest, '0.2.0'), manifest.replaceAll('0.1.0', '0.2.0'))
})

test('a catch that neither throws, nor looks at the error, nor says why is a problem', () => {
  const caught = (clause: string): number =>
    checkCatches(
      plant({ 'packages/sdk/src/agent/a.ts': `export const f = () => {\n  try { g() } ${clause}\n}` }),
    ).problems.length
  assert.equal(caught('catch { return false }'), 1)
  assert.equal(caught('catch (error) { return false }'), 1)
  assert.equal(caught('catch (error) { if (isFault(error)) return false }'), 0)
  assert.equal(caught('catch { throw new Fault() }'), 0)
  assert.equal(caught('catch {\n// Whatever it was, this node is not ready.\nreturn false }'), 0)
})
