// Names and first lines: no attics, no echoing suffixes, and each file says what it is before anything else.
import { posix } from 'node:path'
import { isCode, type Outcome, type Tree } from './tree.ts'

const attics = /(^|\/)(utils?|helpers?|common|shared|misc|lib)\//
const suffixes = /-(service|manager|helpers?|utils?|common|impl|handler|controller|types|constants)(\.|$)/
const bare = /^(types|utils?|helpers?|common|constants|misc)\.\w+$/
const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/

/** What is wrong with a path, or undefined. */
const misnamed = (file: string): string | undefined => {
  const name = posix.basename(file)
  const folder = posix.basename(posix.dirname(file))
  if (attics.test(file))
    return 'lives in an attic; a piece of code lives with its only user or becomes a named concept'
  if (suffixes.test(name) || bare.test(name)) return 'is named for a kind of code, not for the thing'
  if (!kebab.test(name)) return 'is not in kebab-case'
  if (name.startsWith(`${folder}-`)) return `repeats its folder's name`
  return undefined
}

/** Holds the names of code files, and the comment at their top, to the house style. */
export const checkNames = (tree: Tree): Outcome => {
  const code = tree.files.filter(isCode)
  const problems = code.flatMap(file => {
    const wrong = misnamed(file)
    const [first = '', second = ''] = tree.read(file).split('\n')
    const opens = /^\/[/*]/.test(first.startsWith('#!') ? second : first)
    return [
      ...(wrong ? [`${file} ${wrong}`] : []),
      ...(opens ? [] : [`${file}:1 does not say what the file is, in a comment`]),
    ]
  })
  return { count: code.length, unit: 'files', problems }
}
