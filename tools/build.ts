// Packages as they are published: compiled, with declarations, without tests and without the `writ-source` condition.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { linesOf, runScript } from './command.ts'

/** In the order in which they are built: the server's types come from the built SDK. */
export const published = ['sdk', 'server'] as const

type Conditions = Record<string, string>

/** The manifest without what only a checkout has: the condition that leads to the sources. */
const publishable = (source: string): string => {
  const manifest = JSON.parse(source) as { exports: Record<string, Conditions> }
  for (const conditions of Object.values(manifest.exports)) {
    delete conditions['writ-source']
    delete conditions['source']
  }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

const stage = (root: string, name: string, to: string): void => {
  const from = join(root, 'packages', name)
  mkdirSync(to, { recursive: true })
  writeFileSync(join(to, 'package.json'), publishable(readFileSync(join(from, 'package.json'), 'utf8')))
  cpSync(join(root, 'LICENSE'), join(to, 'LICENSE'))
  for (const folder of ['src', 'bin']) {
    if (!existsSync(join(from, folder))) continue
    cpSync(join(from, folder), join(to, folder), {
      recursive: true,
      filter: path => !/\.test\.ts$|\/testing$/.test(path),
    })
  }
  // What npm could not hoist stays beside the package.
  if (existsSync(join(from, 'node_modules')))
    symlinkSync(join(from, 'node_modules'), join(to, 'node_modules'))
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    rootDir: 'src',
    outDir: 'dist',
    customConditions: [],
    stripInternal: true,
  }
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions,
    include: ['src/**/*.ts'],
    exclude: [],
  }
  writeFileSync(join(to, 'tsconfig.json'), JSON.stringify(config))
}

/**
 * Builds every published package into `<to>/<name>`, ready for `npm publish`. `to` lies inside `root`, so that the
 * dependencies resolve. Returns what the compiler complained about.
 */
export const build = async (root: string, to: string): Promise<string[]> => {
  rmSync(to, { recursive: true, force: true })
  mkdirSync(join(to, 'node_modules/@writ'), { recursive: true })
  for (const name of published) {
    const at = join(to, name)
    stage(root, name, at)
    symlinkSync(at, join(to, 'node_modules/@writ', name))
    const { code, stdout } = await runScript(root, 'typescript/bin/tsc', ['-p', at])
    if (code !== 0) return linesOf(stdout)
    for (const scaffold of ['src', 'tsconfig.json', 'node_modules']) {
      rmSync(join(at, scaffold), { recursive: true, force: true })
    }
  }
  return []
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..')
  const complaints = await build(root, join(root, '.build/release'))
  for (const complaint of complaints) console.error(complaint)
  if (complaints.length) process.exitCode = 1
  else console.log(`built ${published.join(' and ')} in .build/release`)
}
