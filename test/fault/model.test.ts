// Properties 1, 8, 9, 13, 14 and 15: random histories on a server and on a plain model of it, compared at every step.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { commands } from './model/commands.ts'
import type { Model, ModelToken } from './model/model.ts'
import { begin, realIn, reopened } from './model/real.ts'
import { mustAgree } from './model/token-commands.ts'
import { placeOf } from './world.ts'

const numRuns = Number(process.env['WRIT_FAULT_TRIALS']) || 1000
/** Tokens that are looked at again after a restart. */
const mostKept = 200

test(`the server does what the model says, in ${numRuns} histories, and still after a restart`, async t => {
  // The clock stands still unless a command moves it: an answer is then due at one instant, not around it.
  const place = placeOf(t, { agentKeySeconds: 604_800, drainSeconds: 86_400 }, undefined, { isStill: true })
  const real = await realIn(await place.open())
  const kept: { readonly model: Model; readonly token: ModelToken }[] = []
  let steps = 0
  let tokens = 0
  let live = 0
  const property = fc.asyncProperty(commands, async history => {
    const model = await begin(real)
    await fc.asyncModelRun(() => ({ model, real }), history)
    for (const token of model.tokens) await mustAgree(model, real, token)
    steps += [...history].length
    tokens += model.tokens.length
    live += model.tokens.filter(({ isEnded }) => !isEnded).length
    kept.push(...model.tokens.map(token => ({ model, token })))
    kept.splice(0, Math.max(0, kept.length - mostKept))
  })
  const seed = Number(process.env['WRIT_FAULT_SEED']) || undefined
  await fc.assert(property, { numRuns, ...(seed === undefined ? {} : { seed }) })
  t.diagnostic(
    `${steps} steps, ${real.ids.size} ids, ${tokens} tokens, ${live} of them alive at the end of their history`,
  )
  assert.ok(live > numRuns / 20, `only ${live} tokens lived to be looked at`)

  await real.world.server.close()
  const again = reopened(real, await place.open())
  for (const { model, token } of kept) await mustAgree(model, again, token)
})
