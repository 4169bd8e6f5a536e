// What others test with: the contracts that an implementation of a port has to pass, what they run on, the policy engine, and the count of use.
export { countingUse, createUsage } from './decision/usage.ts'
export { operationDigest } from './domain/authorization/operation-digest.ts'
export { checkCondition, checkPolicies } from './domain/authorization/policy/check.ts'
export { type Asked, requestOf } from './domain/authorization/policy/entities.ts'
export {
  builtIns,
  type CompiledPolicies,
  compilePolicies,
  conditionHolds,
  evaluate,
  type PolicyAnswer,
} from './domain/authorization/policy/evaluate.ts'
export { schemaWith } from './domain/authorization/policy/schema.ts'
export type { DecisionFacts, Party, Question } from './domain/authorization/question.ts'
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
