// The repository speaks of itself alone: no path to a place outside it, no mark of unfinished or silenced work.
import type { Outcome, Tree } from './tree.ts'

/** Written in pieces, so that this file does not say what it forbids. */
const above = new RegExp(`\\.\\./${'shared'}(?![\\w-])`)
/** The one line that may name a place outside: where the continuous run finds the vectors of others. */
const entrance = '.ci/run'

const places = new RegExp(`(^|[\\s'"\`(=:])/(${['work', 'home', 'Users', 'root', 'workspace'].join('|')})/`)
const marks = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`)
const silencers = new RegExp(['@ts-' + 'ignore', '@ts-' + 'nocheck', 'eslint-' + 'disable'].join('|'))

const readable = /\.(ts|tsx|js|mjs|json|md|ya?ml|sql|txt|css|html)$|^\.ci\/|^\.[a-z]+(ignore|rc)$/

/** Looks for words that only make sense to somebody who is not reading this repository. */
export const checkOutside = (tree: Tree): Outcome => {
  const files = tree.files.filter(file => readable.test(file) && file !== 'package-lock.json')
  const problems = files.flatMap(file => {
    const lines = tree.read(file).split('\n')
    const naming = lines.filter(line => above.test(line)).length
    const excess =
      naming > (file === entrance ? 1 : 0) ? [`${file} names a place outside the repository`] : []
    const marked = lines.flatMap((line, index) => {
      if (places.test(line)) return [`${file}:${index + 1} names a path of one machine`]
      if (marks.test(line)) return [`${file}:${index + 1} marks unfinished work`]
      return silencers.test(line) ? [`${file}:${index + 1} silences a check without a reason`] : []
    })
    return [...excess, ...marked]
  })
  return { count: files.length, unit: 'files', problems }
}
