// Import boundaries: this table is the documentation of the layers; everything not in it is forbidden.
import { posix } from 'node:path'
import { isCode, isTest, lineOf, type Outcome, type Syntax, type Tree, walk } from './tree.ts'

const sdk = 'packages/sdk/src/'
const server = 'packages/server/src/'
const uses = 'context limits sdk/protocol'
const open = 'sdk/protocol sdk/agent sdk/resource sdk/admin server server/testing'

/**
 * Layer → where it lives and what it may import besides itself: `x:types` through `import type` only, `x:path` from
 * another package, past its exports.
 */
export const layers: Readonly<Record<string, { readonly at: string; readonly may: string }>> = {
  'sdk/protocol': { at: `${sdk}protocol/`, may: '' },
  'sdk/agent': { at: `${sdk}agent/`, may: 'sdk/protocol' },
  'sdk/resource': { at: `${sdk}resource/`, may: 'sdk/protocol sdk/agent' },
  'sdk/admin': { at: `${sdk}admin/`, may: 'sdk/protocol sdk/agent' },
  domain: { at: `${server}domain/`, may: 'sdk/protocol' },
  context: { at: `${server}context.ts`, may: 'sdk/protocol domain' },
  store: { at: `${server}store/`, may: `${uses} domain` },
  keys: { at: `${server}keys/`, may: `${uses} domain` },
  audit: { at: `${server}audit/`, may: `${uses} domain store keys` },
  decision: { at: `${server}decision/`, may: `${uses} domain store audit` },
  approvals: { at: `${server}approvals/`, may: `${uses} domain store audit decision` },
  protocol: { at: `${server}protocol/`, may: `${uses} domain store keys audit decision approvals` },
  vault: {
    at: `${server}vault/`,
    may: `${uses} domain store keys audit decision approvals vault/sealer vault/rotator`,
  },
  governance: { at: `${server}governance/`, may: `${uses} domain store audit` },
  rotation: {
    at: `${server}rotation/`,
    may: `${uses} domain store keys vault vault/sealer vault/rotator audit`,
  },
  admin: {
    at: `${server}admin/`,
    may: `${uses} domain store keys vault rotation decision approvals governance audit`,
  },
  work: {
    at: `${server}work/`,
    may: `${uses} domain store keys vault rotation decision approvals audit governance`,
  },
  http: {
    at: `${server}http/`,
    may: `${uses} domain:types store:types config:types protocol vault rotation admin decision approvals audit`,
  },
  gateway: { at: `${server}gateway/`, may: 'sdk/protocol sdk/agent sdk/resource' },
  cli: { at: `${server}cli/`, may: 'sdk/protocol sdk/admin sdk/agent compose config' },
  'store/sql': { at: `${server}store/sql/`, may: `${uses} domain store` },
  'keys/providers': { at: `${server}keys/providers/`, may: `${uses} domain keys` },
  'vault/sealer': { at: `${server}vault/sealers/sealer.ts`, may: uses },
  'vault/sealers': { at: `${server}vault/sealers/`, may: `${uses} domain keys vault vault/sealer` },
  'vault/rotator': { at: `${server}vault/rotators/rotator.ts`, may: `${uses} domain` },
  'vault/rotators': { at: `${server}vault/rotators/`, may: `${uses} domain vault vault/rotator` },
  'approvals/channels': { at: `${server}approvals/channels/`, may: `${uses} domain approvals` },
  observe: {
    at: `${server}observe`,
    may: `${uses} domain:types store:types keys:types audit:types http:types config:types`,
  },
  limits: { at: `${server}limits.ts`, may: 'sdk/protocol config:types' },
  config: { at: `${server}config.ts`, may: `${uses} domain` },
  compose: { at: `${server}compose`, may: '*' },
  index: { at: `${server}index.ts`, may: `${uses} compose config domain:types store:types keys:types` },
  testing: {
    at: `${server}testing.ts`,
    may: `${uses} compose config domain store keys vault vault/rotator vault/rotators decision audit`,
  },
  tools: { at: 'tools/', may: 'test sdk/protocol server config:path' },
  test: { at: 'test/', may: `${open} tools examples` },
  examples: { at: 'examples/', may: open },
  bench: { at: 'bench/', may: open },
}

/** Packages of others that stay in one place within `packages/`: SQL, and the one file of the SDK that shares proofs. */
const confined: Readonly<Record<string, readonly string[]>> = {
  kysely: [`${server}store/sql/`],
  pg: [`${server}store/sql/`, `${server}vault/rotators/`],
  'node:sqlite': [`${server}store/sql/`, `${sdk}resource/shared-replay.ts`],
}
/** The only imports of others in `domain`: hashing and policies are deterministic, and have one file each. */
const domainImports = new Map([
  [`${server}domain/hash.ts`, 'node:crypto'],
  // A Cedar evaluation is a synchronous function of values as well, by an engine that is loaded anew where it breaks.
  [`${server}domain/authorization/policy/cedar.ts`, '@cedar-policy/cedar-wasm/nodejs'],
  [`${server}domain/authorization/policy/engine.ts`, '@cedar-policy/cedar-wasm/nodejs node:module'],
])

const layerOf = (file: string): string | undefined =>
  Object.entries(layers)
    .filter(([, { at }]) => file.startsWith(at))
    .sort(([, a], [, b]) => b.at.length - a.at.length)[0]?.[0]

const home = (file: string): string => /^packages\/[^/]+/.exec(file)?.[0] ?? file.split('/')[0] ?? file

interface Import {
  readonly from: string
  readonly line: number
  readonly specifier: string
  readonly typeOnly: boolean
}

/** Every import, re-export, dynamic import and `import('…')` type of a file. */
const importsOf = (tree: Tree, file: string): Import[] => {
  const found: Import[] = []
  walk(tree.syntax(file), node => {
    const source = node['source'] as Syntax | null | undefined
    if (typeof source?.['value'] !== 'string') return
    const typeOnly =
      node.type === 'TSImportType' || node['importKind'] === 'type' || node['exportKind'] === 'type'
    found.push({
      from: file,
      line: lineOf(tree.read(file), node.start),
      specifier: source['value'],
      typeOnly,
    })
  })
  return found
}

/** Why an import is not allowed, or undefined. */
const judge = ({ from, specifier, typeOnly }: Import): string | undefined => {
  const layer = layerOf(from)
  if (!layer) return 'belongs to no layer'
  const inPackage = from.startsWith('packages/')
  if (!specifier.startsWith('.') && !specifier.startsWith('@writ/')) {
    const owners = inPackage && !isTest(from) ? confined[specifier] : undefined
    if (owners?.every(owner => !from.startsWith(owner))) return `only ${owners.join(' and ')} may import it`
    const pure =
      layer === 'domain' && !isTest(from) && domainImports.get(from)?.split(' ').includes(specifier) !== true
    return pure ? 'domain imports nothing of others' : undefined
  }
  const relative = specifier.startsWith('.')
  const target = relative ? posix.join(posix.dirname(from), specifier) : specifier
  const to = relative ? layerOf(target) : /^@writ\/(server(?:\/testing)?(?=$)|sdk\/\w+)/.exec(specifier)?.[1]
  if (!to) return 'leads to no layer'
  if (isTest(target)) return 'a test is not imported'
  const crossing = relative && home(target) !== home(from)
  if (crossing && inPackage)
    return isTest(from) && target.startsWith('test/rfc/') ? undefined : 'leaves its package'
  const may = layers[layer]?.may.split(' ') ?? []
  if (crossing && target.startsWith('packages/')) {
    return may.includes(`${to}:path`) ? undefined : 'enters a package past its exports'
  }
  if (inPackage && isTest(from) && relative) return undefined
  const allowed =
    to === layer || may.includes('*') || may.includes(to) || (typeOnly && may.includes(`${to}:types`))
  return allowed ? undefined : `${layer} may not import ${to}`
}

/** Holds every import in the tree against the table. */
export const checkLayers = (tree: Tree): Outcome => {
  const files = tree.files.filter(file => isCode(file) && layerOf(file) !== undefined)
  const strays = tree.files.filter(
    file => /^packages\/\w+\/src\/.*\.tsx?$/.test(file) && layerOf(file) === undefined,
  )
  const imports = files.flatMap(file => importsOf(tree, file))
  const problems = imports.flatMap(edge => {
    const reason = judge(edge)
    return reason ? [`${edge.from}:${edge.line} imports ${edge.specifier}: ${reason}`] : []
  })
  return {
    count: imports.length,
    unit: 'imports',
    problems: [...strays.map(file => `${file} belongs to no layer`), ...problems],
  }
}
