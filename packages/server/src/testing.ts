// What others test with: the contracts that an implementation of a port has to pass, and what they run on.
export { type Cluster, type ClusterOptions, startPostgres } from './store/contract/postgres.ts'
export {
  type Category,
  type ContractOptions,
  type Given,
  type Opened,
  storeContract,
} from './store/contract/store-contract.ts'
export { type RotatorHarness, rotatorContract } from './vault/rotators/contract.ts'
export type { Harness as UpstreamHarness, Upstream } from './vault/rotators/contract-scene.ts'
export { type LeaseRotatorHarness, leaseRotatorContract } from './vault/rotators/lease-contract.ts'
export { postgresDynamic } from './vault/rotators/postgres-dynamic.ts'
export type { Held, LeaseContext, LeaseRotator, Rotator, RotatorContext } from './vault/rotators/rotator.ts'
