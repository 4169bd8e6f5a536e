// npm run bench: every figure beside its floor in the same run; prints a table, writes bench/results.json.
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { credentials } from './credentials.ts'
import { decision } from './decision/decision.ts'
import { denial } from './denial/denial.ts'
import { growth } from './growth.ts'
import { issuance } from './issuance.ts'
import { issuerRotation } from './issuer-rotation.ts'
import { type Figure, isMet, tableOf } from './measure.ts'
import { policy } from './policy.ts'
import { rewrap } from './rewrap.ts'
import { herd } from './rotation/herd.ts'
import { rotation } from './rotation/rotation.ts'
import { verification } from './verification.ts'

/** The benchmarks by name; `npm run bench -- NAME` runs one. */
const benchmarks: Readonly<Record<string, () => Promise<readonly Figure[]>>> = {
  verification,
  issuance,
  growth,
  decision,
  credentials,
  rewrap,
  'issuer-rotation': issuerRotation,
  rotation,
  'rotation-herd': herd,
  denial,
  policy,
}

const wanted = process.argv.slice(2)
for (const name of wanted) {
  if (name in benchmarks) continue
  console.error(`bench: there is no benchmark ${name}; there are ${Object.keys(benchmarks).join(', ')}`)
  process.exit(2)
}

const figures: Figure[] = []
const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}, ${process.platform}`
console.log(`${machine}\n`)
for (const [name, run] of Object.entries(benchmarks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.error(`bench: ${name} …`)
  figures.push(...(await run()))
}
console.log(tableOf(figures))
const results = join(import.meta.dirname, 'results.json')
writeFileSync(
  results,
  `${JSON.stringify({ at: new Date().toISOString(), machine, figures: figures.map(figure => ({ ...figure, met: isMet(figure) })) }, null, 2)}\n`,
)
console.log(`\nwritten to bench/results.json`)
process.exit(0)
