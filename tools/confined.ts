// Words kept to the places where they are harmless: purity of the domain, one clock reading, one way to the wire.
import { childrenOf, isCode, isForTests, lineOf, type Outcome, type Syntax, type Tree } from './tree.ts'

const server = 'packages/server/src/'
const within = (...folders: string[]): string[] => folders.map(folder => server + folder)
const useCases = within('protocol/', 'vault/', 'governance/', 'approvals/', 'admin/', 'audit/')

interface Confinement {
  readonly words: string
  /** Places where the words may not appear; or, with `only`, the sole places of a package where they may. */
  readonly never?: readonly string[]
  readonly only?: readonly string[]
  readonly why: string
}

const confinements: readonly Confinement[] = [
  {
    words:
      'async await Promise Date.now new-Date Math.random process fetch crypto performance globalThis console',
    never: within('domain/'),
    why: 'the domain is pure and synchronous',
  },
  {
    words: 'setTimeout setInterval setImmediate queueMicrotask',
    never: within('domain/'),
    why: 'the domain is pure and synchronous',
  },
  {
    words: 'Request Response',
    only: [
      ...within('http/', 'gateway/', 'index.ts', 'compose.ts'),
      ...['resource/', 'agent/', 'admin/'].map(at => `packages/sdk/src/${at}`),
    ],
    why: 'only faces speak HTTP',
  },
  { words: 'Date.now new-Date', never: useCases, why: 'time is read once per request, into ctx.now' },
  {
    words: 'fetch',
    never: [...useCases, ...within('store/', 'keys/', 'work/')],
    why: 'outbound calls go through a port',
  },
  {
    words: 'process.env',
    only: within('cli/', 'config.ts').concat('packages/sdk/src/agent/'),
    why: 'configuration has one schema',
  },
  { words: 'console', only: within('cli/'), why: 'one structured line per request, written by http/app.ts' },
  { words: 'Math.random', only: [], why: 'a guessable number is never what is wanted here' },
  { words: 'AsyncLocalStorage', only: [], why: 'context is an argument' },
]

const nameOf = (node: unknown): string | undefined => {
  const { type, name } = (node ?? {}) as Syntax
  return type === 'Identifier' && typeof name === 'string' ? name : undefined
}

/** The children that refer to something: not `b` in `a.b`, nor `b` in `{ b: … }`. */
const referring = (node: Syntax): Syntax[] =>
  childrenOf(node).filter(child => node['computed'] || (child !== node['property'] && child !== node['key']))

const declares = new Set([
  'VariableDeclarator',
  'FunctionDeclaration',
  'ImportSpecifier',
  'TSTypeAliasDeclaration',
  'TSInterfaceDeclaration',
])

/** The parts of a pattern that bind names: neither its type nor its default. */
const binding = (pattern: Syntax): Syntax[] =>
  referring(pattern).filter(child => child !== pattern['typeAnnotation'] && child !== pattern['right'])

/** Every word a program uses, with its position; names the file binds itself are not the globals meant here. */
const wordsOf = (program: Syntax): [word: string, position: number][] => {
  const words: [string, number][] = []
  const bound = new Set<string>()
  const bind = (pattern: Syntax): void => {
    const name = nameOf(pattern)
    if (name) bound.add(name)
    else for (const child of binding(pattern)) bind(child)
  }
  const visit = (node: Syntax): void => {
    const name = nameOf(node)
    if (name) words.push([name, node.start])
    if (node['async'] === true) words.push(['async', node.start])
    if (node.type === 'AwaitExpression' || node['await'] === true) words.push(['await', node.start])
    if (node.type === 'MemberExpression' && nameOf(node['object'])) {
      words.push([`${nameOf(node['object'])}.${nameOf(node['property']) ?? ''}`, node.start])
    }
    if (
      node.type === 'NewExpression' &&
      nameOf(node['callee']) === 'Date' &&
      !(node['arguments'] as []).length
    ) {
      words.push(['new-Date', node.start])
    }
    for (const parameter of (node['params'] as Syntax[] | undefined) ?? [])
      if (parameter.type) bind(parameter)
    if (declares.has(node.type)) bind((node['local'] ?? node['id']) as Syntax)
    for (const child of referring(node)) visit(child)
  }
  visit(program)
  return words.filter(([word]) => !bound.has(word.split('.')[0] ?? word))
}

/** Holds every word of `packages/*` sources against the table. */
export const checkConfined = (tree: Tree): Outcome => {
  const files = tree.files.filter(
    file => /^packages\/\w+\/src\//.test(file) && isCode(file) && !isForTests(file),
  )
  const problems = files.flatMap(file => {
    const at = (places: readonly string[]): boolean => places.some(place => file.startsWith(place))
    const broken = confinements.filter(rule => (rule.only ? !at(rule.only) : at(rule.never ?? [])))
    if (!broken.length) return []
    return wordsOf(tree.syntax(file)).flatMap(([word, position]) => {
      const rule = broken.find(({ words }) => words.split(' ').includes(word))
      return rule ? [`${file}:${lineOf(tree.read(file), position)} says ${word}: ${rule.why}`] : []
    })
  })
  return { count: files.length, unit: 'files', problems }
}
