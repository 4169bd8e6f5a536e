// npm run release -- 1.2.3: fragments become a section of the change log, and the packages get their version.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, published } from './build.ts'
import { type Fragment, fragmentsIn, kinds } from './fragments.ts'
import { openTree } from './tree.ts'

/** The change log with a section for `version` above the earlier ones; security comes first. */
export const assemble = (
  log: string,
  fragments: readonly Fragment[],
  version: string,
  day: string,
): string => {
  const sections = kinds.flatMap(kind => {
    const entries = fragments.filter(fragment => fragment.kind === kind)
    const lines = entries.map(({ text }) => `- ${text.replace(/\s*\n\s*/g, ' ')}`)
    return lines.length ? ['', `### ${kind.charAt(0).toUpperCase()}${kind.slice(1)}`, '', ...lines] : []
  })
  const at = log.indexOf('\n## ')
  const [head, rest] = at === -1 ? [log, ''] : [log.slice(0, at + 1), log.slice(at)]
  return `${head.trimEnd()}\n\n${[`## ${version} (${day})`, ...sections].join('\n')}\n${rest}`
}

/** A manifest with the version everywhere it stands: the package's own, and its sibling's, pinned exactly. */
export const withVersion = (manifest: string, version: string): string =>
  manifest
    .replace(/^( {2}"version": )"[^"]+"/m, `$1"${version}"`)
    .replace(/("@writ\/[\w-]+": )"\d[^"]*"/g, `$1"${version}"`)

const main = async (root: string, version: string | undefined): Promise<string> => {
  if (!version || !/^\d+\.\d+\.\d+$/.test(version)) return 'name the version: npm run release -- 1.2.3'
  const read = fragmentsIn(openTree(root))
  const fragments = read.filter(fragment => typeof fragment !== 'string')
  if (fragments.length < read.length || fragments.length === 0)
    return 'the fragments are not in order: npm run check'
  const log = join(root, 'CHANGELOG.md')
  const day = new Date().toISOString().slice(0, 10)
  writeFileSync(log, assemble(readFileSync(log, 'utf8'), fragments, version, day))
  for (const { file } of fragments) rmSync(join(root, file))
  for (const name of published) {
    const manifest = join(root, 'packages', name, 'package.json')
    writeFileSync(manifest, withVersion(readFileSync(manifest, 'utf8'), version))
  }
  const complaints = await build(root, join(root, '.build/release'))
  if (complaints.length) return complaints.join('\n')
  const steps = [
    'npm install --package-lock-only',
    `git commit and tag v${version}`,
    'npm publish .build/release/<package>',
  ]
  return `version ${version} is assembled; now ${steps.join(', ')}`
}

if (import.meta.main) console.log(await main(join(import.meta.dirname, '..'), process.argv[2]))
