// What every store is held to, whoever writes it: the sentences of the ports as tests, the racing callers included.
import { after, before, describe } from 'node:test'
import { commitContract } from './commits.ts'
import { countsContract } from './counts.ts'
import { expiryContract } from './expiry.ts'
import { factsContract } from './facts.ts'
import { governingContract } from './governing.ts'
import { leaseContract } from './leases.ts'
import { logContract } from './log.ts'
import { durabilityContract, nodesContract } from './nodes.ts'
import { raceContract } from './races.ts'
import { recordContract } from './records.ts'
import { rotationContract } from './rotations.ts'
import type { Given, Opened } from './scene.ts'
import { signalContract } from './signals.ts'
import { spendingContract } from './spending.ts'
import { tenantContract } from './tenants.ts'
import { usesContract } from './uses.ts'
import { valueContract } from './values.ts'
import { vaultContract } from './vault.ts'

/** What a store may opt out of, by name, with the reason. */
export type Category = 'durability' | 'nodes'

export interface ContractOptions {
  readonly without?: { readonly [C in Category]?: string }
}

/** Registers the tests that an implementation of `Store` has to pass. `open` makes a new, empty one at each call. */
export function storeContract(
  name: string,
  open: () => Promise<Opened>,
  { without = {} }: ContractOptions = {},
): void {
  describe(`${name}: the contract of the store`, () => {
    let opened: Opened | undefined
    before(async () => {
      opened = await open()
    })
    after(() => opened?.close())
    const given = (): Given => {
      if (opened === undefined) throw new Error('the store is not open')
      return { store: opened.store, opened }
    }
    commitContract(given)
    raceContract(given)
    expiryContract(given)
    recordContract(given)
    rotationContract(given)
    vaultContract(given)
    usesContract(given)
    tenantContract(given)
    valueContract(given)
    factsContract(given)
    governingContract(given)
    spendingContract(given)
    countsContract(given)
    signalContract(given)
    logContract(given)
    leaseContract(given)
    if (without.nodes === undefined) nodesContract(given)
    if (without.durability === undefined) durabilityContract(open)
  })
}

export type { Given, Opened }
