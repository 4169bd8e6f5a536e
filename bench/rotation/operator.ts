// What an operator types: everything rotates.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

export interface BegunAll {
  readonly batch: string
  readonly begun: number
}

/** `writ rotate --all` as an operator does it. */
export async function rotateAll({
  data,
  issuer,
}: {
  readonly data: string
  readonly issuer: string
}): Promise<BegunAll> {
  const writ = join(import.meta.dirname, '../../node_modules/.bin/writ')
  const args = ['rotate', '--all', '--json', '--data', data, '--issuer', issuer]
  const child = spawn(writ, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', chunk => {
    said += chunk
  })
  await new Promise(resolve => child.once('close', resolve))
  const { batch, items, skipped } = JSON.parse(said)
  console.error(`bench: ${items.length} rotations begun, ${skipped.length} left out`)
  return { batch, begun: items.length }
}
